// Groups of collectives: the same bits as alone, in one collective and one
// copy.
#include "CompileAndRun.h"

using namespace tpc::test;

namespace {

/// One collective of each value: its kind, its attributes, and the types before
/// and after, for a value of `size` elements on 2 x 3 devices.
struct Kind {
  std::string operation, attributes;
  std::string (*from)(int size), (*to)(int size);
};

std::string flat(int size) { return std::to_string(size); }
std::string row(int size) { return "1x" + std::to_string(size); }
std::string rows(int size) { return "3x" + std::to_string(size); }
std::string sent(int size) { return "3x1x" + std::to_string(size); }
std::string received(int size) { return "1x3x" + std::to_string(size); }

const Kind kKinds[] = {
    {"all_reduce sum", "", flat, flat},
    {"all_reduce max", "", flat, flat},
    {"all_gather", "dim 0", row, rows},
    {"reduce_scatter sum", "dim 0", rows, row},
    {"all_to_all", "split 0 concat 1", sent, received},
    {"permute", "sources [2, 0, 1]", flat, flat},
};

// More than are selected from at once; vectors, parts of them, and one element.
const int kSizes[] = {1024, 5, 1, 48, 100, 16, 4099, 7, 64};

class Groups : public CompileAndRun {
protected:
  /// Every device has all inputs, made different by its number; the outputs of
  /// a device are its own rows.
  static std::string program(const Kind &kind, const std::string &element) {
    std::string whole, local, wholeResults, localResults, shardings,
        resultShardings, body, returned;
    auto add = [](std::string &list, const std::string &text) {
      list += (list.empty() ? "" : ", ") + text;
    };
    int number = 0;
    for (int size : kSizes) {
      std::string n = std::to_string(number++),
                  in = "tensor<" + kind.from(size) + "x" + element + ">",
                  out = kind.to(size);
      std::string outType = "tensor<" + out + "x" + element + ">";
      add(whole, "%x" + n + ": " + in);
      add(local, "%x" + n + ": " + in);
      add(shardings, sharding(kind.from(size), false));
      // Every device's result is a block of a new first dimension.
      add(wholeResults, "tensor<6x" + out + "x" + element + ">");
      add(localResults, "tensor<1x" + out + "x" + element + ">");
      add(resultShardings, sharding("6x" + out, true));
      body += "  %f" + n + " = tpc.broadcast %e dims [] : (tensor<" + element +
              ">) -> " + in + "\n  %m" + n + " = tpc.mul %x" + n + ", %f" + n +
              " : (" + in + ", " + in + ") -> " + in + "\n  %y" + n +
              " = spmd." + kind.operation + " %m" + n + " " + kind.attributes +
              " over @mesh{\"tp\"} : (" + in + ") -> " + outType + "\n  %z" +
              n + " = tpc.reshape %y" + n + " : (" + outType +
              ") -> tensor<1x" + out + "x" + element + ">\n";
      add(returned, "%z" + n);
    }
    return "tpc.mesh @mesh <\"dp\" = 2, \"tp\" = 3>\n"
           "func.func private @main(" +
           whole + ") -> (" + wholeResults + ")\nspmd.program @main.spmd of " +
           "@main(" + local + ") -> (" + localResults + ") args [" + shardings +
           "] results [" + resultShardings +
           "] {\n  %d = spmd.device_index over @mesh{\"dp\", \"tp\"} : "
           "tensor<i64>\n  %more = tpc.constant dense<1> : tensor<65536xi64> : "
           "tensor<65536xi64>\n  %e = tpc.convert %d : (tensor<i64>) -> "
           "tensor<" +
           element + ">\n" + body + "  spmd.return " + returned + " : " +
           localResults + "\n}\n";
  }

private:
  static std::string sharding(const std::string &shape, bool isSplit) {
    std::string text = "#tpc.sharding<@mesh, [";
    text += isSplit ? "{\"dp\", \"tp\"}" : "{}";
    for (char c : shape)
      text += c == 'x' ? ", {}" : "";
    return text + "]>";
  }
};

TEST_F(Groups, GiveTheSameBits) {
  for (const Kind &kind : kKinds)
    for (std::string element : {"f32", "bf16"}) {
      SCOPED_TRACE(kind.operation + " " + element);
      std::string text = program(kind, element);
      planMachine = "h100";
      compile(text);
      ASSERT_FALSE(HasFatalFailure());
      EXPECT_EQ(counts().collectives, 1);
      EXPECT_EQ(counts().groups, 1);
      // The simulator adds in double precision.
      check(element == "bf16" ? 1e-2 : 1e-6);
      std::vector<tpc::reference::Tensor> inputs;
      auto function = source->lookupSymbol<mlir::FunctionOpInterface>("main");
      for (mlir::Type type : function.getArgumentTypes())
        inputs.push_back(
            randomTensor(llvm::cast<mlir::RankedTensorType>(type)));
      auto grouped = run(inputs);

      // Without latencies there is nothing to save.
      planMachine = TPC_MACHINES "/no-latency.json";
      compile(text);
      ASSERT_FALSE(HasFatalFailure());
      EXPECT_EQ(counts().collectives, static_cast<int>(std::size(kSizes)));
      EXPECT_EQ(counts().groups, 0);
      auto alone = run(inputs);
      ASSERT_EQ(grouped.size(), alone.size());
      for (auto [a, b] : llvm::zip_equal(grouped, alone))
        EXPECT_EQ(a.data, b.data);
    }
}

/// What brings the operands together is one kernel, also for very many; results
/// of all_reduce are parts of its buffer.
TEST_F(Groups, HundredsOfOperandsAreOneKernel) {
  std::string types, arguments, shardings, body, returned;
  for (int i = 0; i < 300; ++i) {
    std::string n = std::to_string(i), comma = i ? ", " : "";
    arguments += comma + "%x" + n + ": tensor<24xf32>";
    types += comma + "tensor<24xf32>";
    shardings += comma + "#tpc.sharding<@mesh, [{}]>";
    returned += comma + "%y" + n;
    body += "  %y" + n + " = spmd.all_reduce sum %x" + n +
            " over @mesh{\"tp\"} : (tensor<24xf32>) -> tensor<24xf32>\n";
  }
  planMachine = "h100";
  compile("tpc.mesh @mesh <\"tp\" = 2>\nfunc.func private @main(" + arguments +
          ") -> (" + types + ")\nspmd.program @main.spmd of @main(" +
          arguments + ") -> (" + types + ") args [" + shardings +
          "] results [" + shardings +
          "] {\n  %more = tpc.constant dense<1> : tensor<65536xi64> : "
          "tensor<65536xi64>\n" +
          body + "  spmd.return " + returned + " : " + types + "\n}\n");
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(counts().collectives, 1);
  EXPECT_EQ(counts().kernels, 1);
  check(0);
}

} // namespace

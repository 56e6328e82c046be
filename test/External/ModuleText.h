//===- ModuleText.h - Modules in text, op by op -----------------*- C++ -*-===//
//
// Builds the text of a module with one function @main; shapes are checked where
// it is parsed. Values are named by the caller:
//
//   ModuleText m("\"tp\" = 4");
//   m.parameter("w", {8, 16});
//   m.argument("x", {4, 8});
//   m.op("h", "matmul %x, %w \"b e, e f -> b f\"", {"x", "w"}, {4, 16});
//   m.result("h");
//   m.str()
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_EXTERNAL_MODULETEXT_H
#define TPC_TEST_EXTERNAL_MODULETEXT_H

#include "llvm/ADT/ArrayRef.h"
#include <map>
#include <string>
#include <vector>

namespace tpc::test {

class ModuleText {
public:
  /// `mesh`: "\"dp\" = 2, \"tp\" = 4".
  explicit ModuleText(std::string mesh, std::string element = "f32")
      : mesh(std::move(mesh)), element(std::move(element)) {}

  /// `pin` is a sharding: "[{}, {\"tp\"}]".
  void argument(const std::string &name, llvm::ArrayRef<int64_t> shape,
                const std::string &pin = "", const std::string &element = "");
  /// A parameter, read under its name.
  void parameter(const std::string &name, llvm::ArrayRef<int64_t> shape,
                 const std::string &pin = "");
  void state(const std::string &name, llvm::ArrayRef<int64_t> shape);
  void write(const std::string &state, const std::string &value);
  /// "%result = tpc.TEXT : (types of operands) -> type of `shape`".
  void op(const std::string &result, const std::string &text,
          const std::vector<std::string> &operands,
          llvm::ArrayRef<int64_t> shape);
  /// A constant of one repeated value: "0.5".
  void constant(const std::string &name, const std::string &value,
                llvm::ArrayRef<int64_t> shape);
  /// A result of @main, which has its value's name.
  void result(const std::string &name, const std::string &pin = "");

  std::string str() const;

private:
  std::string type(llvm::ArrayRef<int64_t> shape,
                   const std::string &element) const;

  std::string mesh, element;
  std::map<std::string, std::string> types;
  std::string symbols, arguments, body, returned, returnedTypes, results;
};

} // namespace tpc::test

#endif // TPC_TEST_EXTERNAL_MODULETEXT_H

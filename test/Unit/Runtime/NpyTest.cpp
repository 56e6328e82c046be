// .npy files: bytes as NumPy writes them, and files that break the format.
#include "tpcrt/Npy.h"
#include "TestFiles.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

std::string npy(std::string header, const std::string &data) {
  header += '\n';
  std::string file = "\x93NUMPY\x01";
  file += '\0';
  file += char(header.size() & 0xff);
  file += char(header.size() >> 8);
  return file + header + data;
}

class NpyTest : public testing::Test {
protected:
  std::string error(const std::string &content) {
    writeBytes(path, content);
    auto tensor = readNpy(path);
    return tensor ? "" : tensor.error().message;
  }
  void expectError(const std::string &content, const std::string &part) {
    std::string found = error(content);
    EXPECT_NE(found.find(part), std::string::npos) << found;
    EXPECT_NE(found.find(path), std::string::npos) << found;
  }

  TemporaryFolder folder;
  std::string path = folder.file("t.npy");
};

TEST_F(NpyTest, ReadsWhatNumPyWrites) {
  // np.save(f, np.array([[1, 2], [3, 4]], dtype=np.int32))
  writeBytes(path, npy("{'descr': '<i4', 'fortran_order': False, "
                       "'shape': (2, 2), }                  ",
                       std::string("\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0", 16)));
  auto tensor = readNpy(path);
  ASSERT_TRUE(tensor) << tensor.error().message;
  EXPECT_EQ(tensor->describe(), "2x2xi32");
  EXPECT_EQ(tensor->as<int32_t>()[1], 2);
}

TEST_F(NpyTest, FortranOrder) {
  writeBytes(path,
             npy("{'descr': '|b1', 'fortran_order': True, 'shape': (2, 3)}",
                 std::string("\1\0\0\1\1\1", 6)));
  auto tensor = readNpy(path);
  ASSERT_TRUE(tensor) << tensor.error().message;
  std::vector<int> found(tensor->as<uint8_t>(), tensor->as<uint8_t>() + 6);
  EXPECT_EQ(found, (std::vector<int>{1, 0, 1, 0, 1, 1}));
}

TEST_F(NpyTest, Bfloat16) {
  for (auto descr : {"<V2", "|V2", "<u2"}) {
    writeBytes(path, npy(std::string("{'descr': '") + descr +
                             "', 'fortran_order': False, 'shape': ()}",
                         "\x80\x3f"));
    auto tensor = readNpy(path);
    ASSERT_TRUE(tensor) << tensor.error().message;
    EXPECT_EQ(tensor->describe(), "bf16");
  }
}

TEST_F(NpyTest, RoundTrips) {
  for (unsigned t = 0; t < numElementTypes; ++t)
    for (std::vector<uint64_t> shape :
         {std::vector<uint64_t>{}, {1}, {0, 3}, {2, 3, 4}}) {
      HostTensor tensor(static_cast<ElementType>(t), shape);
      for (uint64_t i = 0; i < tensor.byteSize(); ++i)
        tensor.data()[i] =
            std::byte(t == unsigned(ElementType::Bool) ? i & 1 : i);
      ASSERT_TRUE(writeNpy(path, tensor));
      auto read = readNpy(path);
      ASSERT_TRUE(read) << read.error().message;
      EXPECT_EQ(read->describe(), tensor.describe());
      EXPECT_EQ(std::vector(read->data(), read->data() + read->byteSize()),
                std::vector(tensor.data(), tensor.data() + tensor.byteSize()));
      // The elements start at a multiple of 64 bytes, as the format asks.
      EXPECT_EQ((readBytes(path).size() - tensor.byteSize()) % 64, 0u);
    }
}

TEST_F(NpyTest, BadFiles) {
  std::string good =
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "1234");
  EXPECT_EQ(error(good), "");
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_NE(error(good.substr(0, size)), "") << size;
  expectError(good + "5", "needs 4 bytes, found 5");
  expectError("hello, this is text", "not a .npy file");
  auto header = [](const std::string &text) { return npy(text, "1234"); };
  expectError(header("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}"),
              "'>f4'");
  expectError(header("{'descr': '<f4', 'shape': (1,)}"), "fortran_order");
  expectError(header("{'descr': '<f4', 'fortran_order': No, 'shape': (1,)}"),
              "fortran_order");
  expectError(
      header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"),
      "expected a header");
  expectError(header("{'descr': '<f4', 'fortran_order': False, "
                     "'shape': (9999999999999999999, 9)}"),
              "too many");
  expectError(header("{'descr': [('a', '<f4')], 'fortran_order': False, "
                     "'shape': (1,)}"),
              "expected a header");
}

TEST_F(NpyTest, SeveralFilesOrNone) {
  HostTensor tensor(ElementType::F32, {2});
  EXPECT_FALSE(
      writeNpyFiles({{path, &tensor}, {"/nonexistent/u.npy", &tensor}}));
  EXPECT_TRUE(folder.entries().empty());
  EXPECT_TRUE(
      writeNpyFiles({{path, &tensor}, {folder.file("u.npy"), &tensor}}));
  EXPECT_EQ(folder.entries(), (std::vector<std::string>{"t.npy", "u.npy"}));
}

} // namespace

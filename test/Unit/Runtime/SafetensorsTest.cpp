// Reading safetensors: good files, folders, and files that break the format.
#include "tpcrt/Safetensors.h"
#include "TestFiles.h"

#include <cstring>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <random>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

TEST(Safetensors, ListsTensors) {
  TemporaryFolder folder;
  std::string path = folder.file("a.safetensors");
  writeBytes(path, safetensors(R"({"__metadata__":{"format":"pt"},
    "b":{"dtype":"BF16","shape":[2,1],"data_offsets":[4,8]},
    "a":{"shape":[],"data_offsets":[0,4],"dtype":"I32"},
    "empty":{"dtype":"F32","shape":[0,3],"data_offsets":[8,8]},
    "q":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}   )",
                               std::string("\x07\0\0\0\x80\x3f\0\x40xyz", 11)));
  auto source = WeightSource::open(path);
  ASSERT_TRUE(source) << source.error().message;
  ASSERT_EQ(source->tensors().size(), 4u);
  EXPECT_EQ(source->tensors()[0].name, "a");
  EXPECT_EQ(source->tensors()[1].name, "b");
  const StoredTensor *a = source->find("a");
  EXPECT_EQ(a->type, ElementType::I32);
  EXPECT_EQ(*reinterpret_cast<const uint8_t *>(a->data), 7);
  EXPECT_EQ(source->find("b")->shape, (std::vector<uint64_t>{2, 1}));
  EXPECT_EQ(source->find("b")->dtype, "BF16");
  EXPECT_EQ(source->find("q")->type, std::nullopt);
  EXPECT_EQ(source->find("q")->bytes, 3u);
  EXPECT_EQ(source->find("none"), nullptr);
}

TEST(Safetensors, FolderOfFiles) {
  TemporaryFolder folder;
  writeBytes(folder.file("1.safetensors"), safetensors({{"a", {1}, {1}}}));
  writeBytes(folder.file("2.safetensors"), safetensors({{"b", {1}, {2}}}));
  writeBytes(folder.file("notes.txt"), "not a model");
  auto source = WeightSource::open(folder.path);
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_EQ(source->files().size(), 2u);
  EXPECT_EQ(source->files()[source->find("b")->file].path,
            folder.file("2.safetensors"));
}

std::string openError(const std::string &path) {
  auto source = WeightSource::open(path);
  return source ? "" : source.error().message;
}

void expectContains(const std::string &text, const std::string &part) {
  EXPECT_NE(text.find(part), std::string::npos) << "found: '" << text << "'";
}

TEST(Safetensors, FolderProblems) {
  TemporaryFolder folder;
  expectContains(openError(folder.path), "found none");
  writeBytes(folder.file("1.safetensors"), safetensors({{"a", {1}, {1}}}));
  writeBytes(folder.file("2.safetensors"), safetensors({{"a", {1}, {2}}}));
  expectContains(openError(folder.path), "tensor 'a' is in both");
  expectContains(openError(folder.file("3.safetensors")), "No such file");
}

TEST(Safetensors, Index) {
  TemporaryFolder folder;
  std::string index = folder.file("model.safetensors.index.json");
  writeBytes(folder.file("1.safetensors"), safetensors({{"a", {1}, {1}}}));
  writeBytes(folder.file("2.safetensors"), safetensors({{"b", {1}, {2}}}));
  writeBytes(folder.file("other.safetensors"), "not listed, not read");
  writeBytes(index, R"({"metadata":{"total_size":8},
    "weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  EXPECT_EQ(openError(folder.path), "");
  writeBytes(index, R"({"weight_map":{"a":"2.safetensors"}})");
  expectContains(openError(folder.path),
                 "tensor 'a' is not in '2.safetensors'");
  writeBytes(index, R"({"weight_map":{"a":"1.safetensors",
    "a":"2.safetensors"}})");
  expectContains(openError(folder.path), "two entries for tensor 'a'");
  writeBytes(index, R"({"weight_map":{"a":"3.safetensors"}})");
  expectContains(openError(folder.path), "3.safetensors");
  writeBytes(index, R"({"weight_map":{"a":1}})");
  expectContains(openError(folder.path), "file name for tensor 'a'");
  writeBytes(index, R"([])");
  expectContains(openError(folder.path), "weight_map");
  writeBytes(index, "");
  expectContains(openError(folder.path), "weight_map");
}

TEST(Safetensors, IndexThatLeavesTheFolder) {
  TemporaryFolder folder;
  namespace fs = std::filesystem;
  fs::path home = fs::path(folder.path) / "model";
  fs::create_directory(home);
  std::string outside = folder.file("1.safetensors");
  writeBytes(outside, safetensors({{"a", {1}, {1}}}));
  auto errorFor = [&](const std::string &name) {
    writeBytes(home / "model.safetensors.index.json",
               R"({"weight_map":{"a":")" + name + "\"}}");
    return openError(home);
  };
  for (const std::string &name :
       {std::string("../1.safetensors"), outside, std::string(".."),
        std::string("."), std::string("sub/1.safetensors"), std::string()})
    expectContains(errorFor(name), "'" + name + "' is not a file name");
  expectContains(errorFor("1.safetensors"), "No such file");
  fs::create_symlink(outside, home / "out.safetensors");
  expectContains(errorFor("out.safetensors"), "expected a file in the folder");
  expectContains(errorFor("out.safetensors"), outside);
  fs::create_symlink("loop.safetensors", home / "loop.safetensors");
  expectContains(errorFor("loop.safetensors"), "cannot be opened");
  fs::create_directory(home / "1.safetensors");
  expectContains(errorFor("1.safetensors"), "not a regular file");
  fs::rename(outside, home / "2.safetensors");
  fs::create_symlink("2.safetensors", home / "in.safetensors");
  EXPECT_EQ(errorFor("in.safetensors"), "");
}

/// MODEL/snapshots/REVISION/1.safetensors -> ../../blobs/HASH
TEST(Safetensors, IndexInACacheOfModels) {
  TemporaryFolder folder;
  namespace fs = std::filesystem;
  fs::path blobs = fs::path(folder.path) / "blobs";
  fs::path home = fs::path(folder.path) / "snapshots" / "1a2b";
  fs::create_directories(blobs);
  fs::create_directories(home);
  writeBytes(blobs / "3c4d", safetensors({{"a", {1}, {1}}}));
  fs::create_symlink("../../blobs/3c4d", home / "1.safetensors");
  writeBytes(home / "model.safetensors.index.json",
             R"({"weight_map":{"a":"1.safetensors"}})");
  EXPECT_EQ(openError(home), "");
}

struct Hostile {
  std::string name;
  std::string message; // part of the error
  std::string file;
};

void PrintTo(const Hostile &test, std::ostream *stream) {
  *stream << test.name;
}

std::string entry(const std::string &fields) {
  return safetensors("{\"t\":{" + fields + "}}", "12345678");
}

std::string withLength(uint64_t length, const std::string &rest) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + rest;
}

const Hostile hostile[] = {
    {"Empty", "0 bytes", ""},
    {"SevenBytes", "7 bytes", "1234567"},
    {"HeaderLongerThanFile", "claims 100 bytes", withLength(100, "{}")},
    {"HeaderLengthHuge", "claims", withLength(UINT64_MAX, "{}")},
    {"NotJson", "JSON", safetensors("hello", "")},
    {"NotAnObject", "JSON", safetensors("[1]", "")},
    {"EmptyHeader", "JSON", safetensors("", "")},
    {"DeepNesting", "JSON", safetensors(std::string(100000, '['), "")},
    {"InvalidUtf8", "JSON", safetensors("{\"\xff\":1}", "")},
    {"EntryNotObject", "tensor 't': expected an object",
     safetensors(R"({"t":1})", "")},
    {"MissingDtype", "expected dtype",
     entry(R"("shape":[2],"data_offsets":[0,8])")},
    {"UnknownDtype", "unknown dtype 'F33'",
     entry(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])")},
    {"FieldTwice", "once",
     entry(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])")},
    {"NegativeShape", "sizes",
     entry(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])")},
    {"FractionalShape", "sizes",
     entry(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])")},
    {"ShapeOverflow", "too large",
     entry(
         R"("dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8])")},
    {"ShapeOverflowToZero", "too large",
     entry(
         R"("dtype":"F32","shape":[9223372036854775808,2],"data_offsets":[0,0])")},
    {"OverflowBesideZero", "too large",
     entry(
         R"("dtype":"F32","shape":[0,9223372036854775808,4],"data_offsets":[0,0])")},
    {"WrongLength", "needs 12 bytes, data_offsets hold 8",
     entry(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])")},
    {"OffsetsOutside", "inside the 8 bytes",
     entry(R"("dtype":"F32","shape":[3],"data_offsets":[0,12])")},
    {"OffsetsReversed", "[8, 0]",
     entry(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])")},
    {"OffsetsThree", "[0, 8, 8]",
     entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])")},
    {"GapBefore", "4 bytes before tensor 't'",
     entry(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])")},
    {"GapBehind", "last 4 bytes",
     entry(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])")},
    {"Overlap", "overlap",
     safetensors(R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},
       "b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                 "12345678")},
    {"NameTwice", "two tensors are named 'a'",
     safetensors(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
       "a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                 "12345678")},
    {"Metadata", "__metadata__", safetensors(R"({"__metadata__":3})", "")},
    {"MetadataOfNumbers", "strings only",
     safetensors(R"({"__metadata__":{"a":1}})", "")},
    {"HalfAByte", "no whole number of bytes",
     entry(R"("dtype":"F4","shape":[15],"data_offsets":[0,8])")},
};

class HostileSafetensors : public testing::TestWithParam<Hostile> {};

TEST_P(HostileSafetensors, IsRefused) {
  TemporaryFolder folder;
  std::string path = folder.file("bad.safetensors");
  writeBytes(path, GetParam().file);
  std::string error = openError(path);
  expectContains(error, GetParam().message);
  expectContains(error, path);
}

INSTANTIATE_TEST_SUITE_P(, HostileSafetensors, testing::ValuesIn(hostile),
                         [](const auto &info) { return info.param.name; });

TEST(HostileSafetensorsBytes, Truncated) {
  TemporaryFolder folder;
  std::string good = safetensors({{"a", {2}, {1, 2}}, {"b", {1}, {3}}});
  std::string path = folder.file("t.safetensors");
  for (size_t size = 0; size < good.size(); ++size) {
    writeBytes(path, good.substr(0, size));
    EXPECT_NE(openError(path), "") << size;
  }
}

TEST(HostileSafetensorsBytes, FlippedBits) {
  TemporaryFolder folder;
  std::string good = safetensors({{"a", {2}, {1, 2}}, {"b", {1}, {3}}});
  std::string path = folder.file("t.safetensors");
  std::mt19937 random(1);
  for (int round = 0; round < 1000; ++round) {
    std::string file = good;
    file[random() % file.size()] ^= 1 << random() % 8;
    writeBytes(path, file);
    // A bit of a name or of data may be anything; what opens can be read.
    auto source = WeightSource::open(path);
    unsigned sum = 0;
    for (size_t i = 0; source && i < source->tensors().size(); ++i)
      for (uint64_t b = 0; b < source->tensors()[i].bytes; ++b)
        sum += unsigned(source->tensors()[i].data[b]);
    EXPECT_LE(sum, 255u * good.size());
  }
}

} // namespace

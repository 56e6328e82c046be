#include "CudaArtifact.h"

#include "FakeLibraries.h"

#include <fmt/format.h>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

/// PTX of entries with so many addresses each, without code.
std::vector<uint8_t> ptxOf(const std::map<std::string, size_t> &entries,
                           const std::string &isa) {
  std::string text = ".version 7.0\n.target " + isa + "\n.address_size 64\n";
  for (auto &[name, count] : entries) {
    std::string parameters;
    for (size_t i = 0; i < count; ++i)
      parameters += fmt::format("{}.param .u64 p{} ", i ? ", " : "", i);
    text +=
        fmt::format(".visible .entry {}({}) {{ ret; }}\n", name, parameters);
  }
  return {text.c_str(), text.c_str() + text.size() + 1};
}

/// What TestKernels.c says, a tile in a block.
void addTestKernels(fake::Machine &machine) {
  machine.kernels["add"] = [](const fake::Launch &launch) {
    auto *x = launch.at<float>(0, launch.blocks);
    auto *y = launch.at<float>(1, launch.blocks);
    auto *out = launch.at<float>(2, launch.blocks);
    for (uint64_t i = 0; i < launch.blocks; ++i)
      out[i] = x[i] + y[i];
  };
  machine.kernels["scale"] = [](const fake::Launch &launch) {
    auto *x = launch.at<float>(0, launch.blocks);
    auto *out = launch.at<float>(2, launch.blocks);
    for (uint64_t i = 0; i < launch.blocks; ++i)
      out[i] = x[i] * float(*launch.at<int64_t>(1, 1));
  };
  machine.kernels["accumulate"] = [](const fake::Launch &launch) {
    auto *x = launch.at<float>(0, launch.blocks);
    auto *state = launch.at<float>(1, launch.blocks);
    auto *out = launch.at<float>(2, launch.blocks);
    for (uint64_t i = 0; i < launch.blocks; ++i)
      out[i] = state[i] += x[i];
  };
}

} // namespace

TestArtifact tpcrt::test::onGpus(TestArtifact artifact, std::string isa) {
  std::map<std::string, size_t> entries;
  auto bind = [&](fb::KernelStepT &step) {
    step.threads = 1;
    entries[artifact.table.kernels[step.kernel]] = step.buffers.size();
  };
  for (auto &program : artifact.table.programs)
    for (auto &step : program->steps)
      if (fb::KernelStepT *kernel = step->body.AsKernelStep())
        bind(*kernel);
      else if (auto *attention = step->body.AsAttentionStep();
               attention && attention->generated)
        bind(*attention->generated);
      else if (auto *product = step->body.AsMatmulStep();
               product && product->generated)
        bind(*product->generated);
      else if (auto *grouped = step->body.AsGroupedMatmulStep();
               grouped && grouped->generated)
        bind(*grouped->generated);
  artifact.table.device = fb::DeviceKind::Cuda;
  artifact.table.images.clear();
  if (!entries.empty()) {
    auto image = std::make_unique<fb::KernelImageT>();
    image->isa = isa;
    image->bytes = ptxOf(entries, isa);
    artifact.table.images.push_back(std::move(image));
  }
  return artifact;
}

fake::Machine &CudaTest::start(fake::Settings settings) {
  fake::Machine &machine = fake::installLibraries(settings);
  addTestKernels(machine);
  return machine;
}

void CudaTest::expectClean() {
  EXPECT_EQ(fake::machine().misuse, "");
  EXPECT_EQ(fake::machine().alive(), "");
}

void CudaTest::TearDown() {
  expectClean();
  fake::removeLibraries();
}

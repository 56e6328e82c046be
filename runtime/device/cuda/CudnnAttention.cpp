// Attention by cuDNN's frontend, the one file that sees it: a library of
// headers that throws. Nothing is thrown out of here.
#include "device/cuda/AttentionLibrary.h"

#include "device/cuda/SharedLibrary.h"

#define CUDNN_FRONTEND_SKIP_JSON_LIB
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#include <cudnn_frontend.h>

#include <dlfcn.h>

namespace cudnn_frontend {
/// Where the frontend finds cuDNN's functions.
void *cudnn_dlhandle = nullptr;
} // namespace cudnn_frontend

namespace fe = cudnn_frontend;
using namespace tpcrt;

namespace {

enum Uid : int64_t {
  Query = 1,
  Key,
  Value,
  ResultOf,
  QueryLengths,
  KeyLengths
};

Result<void> check(fe::error_t status) {
  if (status.is_good())
    return {};
  return fail("cuDNN: {}", status.get_message());
}

/// What calls into the frontend, without its exceptions.
template <class Work> auto guarded(Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception &error) {
    return fail("cuDNN: {}", error.what());
  }
}

class CudnnPlan final : public AttentionPlan {
public:
  CudnnPlan(cudnnHandle_t handle, fe::graph::Graph graph, bool hasLengths)
      : handle(handle), graph(std::move(graph)), hasLengths(hasLengths) {}

  Result<void> enqueue(CUstream stream, const Addresses &at) override {
    return guarded([&]() -> Result<void> {
      auto pointer = [](CUdeviceptr address) {
        return reinterpret_cast<void *>(address);
      };
      std::unordered_map<int64_t, void *> tensors{
          {Query, pointer(at.query)},
          {Key, pointer(at.key)},
          {Value, pointer(at.value)},
          {ResultOf, pointer(at.result)}};
      if (hasLengths) {
        tensors[QueryLengths] = pointer(at.queryLengths);
        tensors[KeyLengths] = pointer(at.keyLengths);
      }
      if (fe::detail::set_stream(handle, stream) != CUDNN_STATUS_SUCCESS)
        return fail("cuDNN: cannot use the stream");
      return check(graph.execute(handle, tensors, pointer(at.workspace)));
    });
  }

private:
  cudnnHandle_t handle; // of the library, which outlives its plans
  fe::graph::Graph graph;
  bool hasLengths;
};

std::shared_ptr<fe::graph::Tensor_attributes>
addTensor(fe::graph::Graph &graph, Uid uid, std::vector<int64_t> dims,
          std::vector<int64_t> strides) {
  return graph.tensor(fe::graph::Tensor_attributes()
                          .set_uid(uid)
                          .set_dim(std::move(dims))
                          .set_stride(std::move(strides)));
}

fe::graph::Graph graphOf(const AttentionForm &form) {
  auto strides = [](const std::array<int64_t, 3> &outer) {
    return std::vector<int64_t>{outer[0], outer[1], outer[2], 1};
  };
  fe::graph::Graph graph;
  graph
      .set_io_data_type(form.type == ElementType::BF16
                            ? fe::DataType_t::BFLOAT16
                            : fe::DataType_t::HALF)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  auto query = addTensor(graph, Query,
                         {form.batch, form.heads, form.queries, form.depth},
                         strides(form.query));
  auto key =
      addTensor(graph, Key, {form.batch, form.keyHeads, form.keys, form.depth},
                strides(form.key));
  auto value = addTensor(
      graph, Value, {form.batch, form.keyHeads, form.keys, form.valueDepth},
      strides(form.value));
  auto options =
      fe::graph::SDPA_attributes().set_generate_stats(false).set_attn_scale(
          float(form.scale));
  if (form.causal)
    options.set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
        .set_diagonal_band_right_bound(0);
  if (form.hasLengths) {
    auto lengths = [&](Uid uid) {
      auto tensor = addTensor(graph, uid, {form.batch, 1, 1, 1}, {1, 1, 1, 1});
      tensor->set_data_type(fe::DataType_t::INT32);
      return tensor;
    };
    options.set_padding_mask(true)
        .set_seq_len_q(lengths(QueryLengths))
        .set_seq_len_kv(lengths(KeyLengths));
  }
  auto result = graph.sdpa(query, key, value, options)[0];
  result->set_output(true)
      .set_uid(ResultOf)
      .set_dim({form.batch, form.heads, form.queries, form.valueDepth})
      .set_stride(strides(form.result));
  return graph;
}

class Cudnn final : public AttentionLibrary {
public:
  Cudnn(std::shared_ptr<Gpu> gpu, cudnnHandle_t handle)
      : gpu(std::move(gpu)), handle(handle) {}
  ~Cudnn() override {
    if (gpu->isStuck())
      return;
    if (auto scope = GpuScope::enter(*gpu))
      fe::detail::destroy_handle(handle);
  }

  Result<std::unique_ptr<AttentionPlan>>
  prepare(const AttentionForm &form, uint64_t workspaceBytes) override {
    return guarded([&]() -> Result<std::unique_ptr<AttentionPlan>> {
      TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*gpu));
      fe::graph::Graph graph = graphOf(form);
      // What fails up to here is not supported; afterwards it is an error.
      int64_t workspace = 0;
      if (graph.validate().is_bad() ||
          graph.build_operation_graph(handle).is_bad() ||
          graph.create_execution_plans({fe::HeurMode_t::A}).is_bad() ||
          graph.check_support(handle).is_bad())
        return nullptr;
      TPCRT_TRY(check(graph.build_plans(handle)));
      TPCRT_TRY(check(graph.get_workspace_size(workspace)));
      if (uint64_t(workspace) > workspaceBytes)
        return nullptr;
      return std::make_unique<CudnnPlan>(handle, std::move(graph),
                                         form.hasLengths);
    });
  }

private:
  std::shared_ptr<Gpu> gpu;
  cudnnHandle_t handle;
};

} // namespace

Result<std::shared_ptr<AttentionLibrary>>
tpcrt::openCudnn(const std::shared_ptr<Gpu> &gpu) {
  constexpr const char *name = "libcudnn.so.9";
  if (!fe::cudnn_dlhandle)
    fe::cudnn_dlhandle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!fe::cudnn_dlhandle)
    return fail("cannot open {} ({}): install cuDNN 9", name, ::dlerror());
  return guarded([&]() -> Result<std::shared_ptr<AttentionLibrary>> {
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*gpu));
    cudnnHandle_t handle = nullptr;
    auto status = fe::detail::create_handle(&handle);
    if (status != CUDNN_STATUS_SUCCESS)
      return fail("cuDNN: {}", fe::detail::get_error_string(status));
    return std::make_shared<Cudnn>(gpu, handle);
  });
}

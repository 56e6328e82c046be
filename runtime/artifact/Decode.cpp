// FlatBuffers tables -> plain structures. The FlatBuffers verifier has made
// sure that the tables lie inside the payload; what the numbers in them mean is
// checked afterwards, in Check.cpp and CheckProgram.cpp.
#include "artifact/Module.h"
#include "support/Fail.h"
#include "tpcrt/artifact_generated.h"

#include <cstring>

using namespace tpcrt;
namespace fb = tpcrt::artifact;

namespace {

template <class Ours, class Schema>
constexpr bool sameValue(Ours ours, Schema schema) {
  return static_cast<int>(ours) == static_cast<int>(schema);
}
static_assert(sameValue(ElementType::F32, fb::ElementType::F32) &&
              sameValue(ElementType::F64, fb::ElementType::F64) &&
              sameValue(ElementType::BF16, fb::ElementType::BF16) &&
              sameValue(ElementType::F16, fb::ElementType::F16) &&
              sameValue(ElementType::I32, fb::ElementType::I32) &&
              sameValue(ElementType::I64, fb::ElementType::I64) &&
              sameValue(ElementType::Bool, fb::ElementType::MAX));
static_assert(sameValue(Space::Arena, fb::Space::Arena) &&
              sameValue(Space::Parameter, fb::Space::Parameter) &&
              sameValue(Space::State, fb::Space::State) &&
              sameValue(Space::Constant, fb::Space::Constant) &&
              sameValue(Space::DeviceScalar, fb::Space::MAX));
static_assert(
    sameValue(CollectiveKind::AllReduce, fb::CollectiveKind::AllReduce) &&
    sameValue(CollectiveKind::AllGather, fb::CollectiveKind::AllGather) &&
    sameValue(CollectiveKind::ReduceScatter,
              fb::CollectiveKind::ReduceScatter) &&
    sameValue(CollectiveKind::AllToAll, fb::CollectiveKind::AllToAll) &&
    sameValue(CollectiveKind::Permute, fb::CollectiveKind::MAX));
static_assert(sameValue(Activation::None, fb::Activation::None) &&
              sameValue(Activation::GeluErf, fb::Activation::GeluErf) &&
              sameValue(Activation::GeluTanh, fb::Activation::GeluTanh) &&
              sameValue(Activation::Silu, fb::Activation::Silu) &&
              sameValue(Activation::Tanh, fb::Activation::MAX));
static_assert(sameValue(Reduction::Sum, fb::Reduction::Sum) &&
              sameValue(Reduction::Max, fb::Reduction::Max) &&
              sameValue(Reduction::Min, fb::Reduction::MAX));

std::string decode(const flatbuffers::String *text) {
  return text ? text->str() : std::string();
}

/// Copies the elements of a vector: FlatBuffers' verifier does not check that
/// they are aligned, so they must not be read in place.
template <class T>
std::vector<T> copyElements(const uint8_t *data, size_t size) {
  std::vector<T> result(size);
  if (size > 0)
    std::memcpy(static_cast<void *>(result.data()), data, size * sizeof(T));
  return result;
}

template <class T> std::vector<T> decode(const flatbuffers::Vector<T> *vector) {
  return vector ? copyElements<T>(vector->Data(), vector->size())
                : std::vector<T>();
}

template <class Struct>
std::vector<Struct> decode(const flatbuffers::Vector<const Struct *> *vector) {
  return vector ? copyElements<Struct>(vector->Data(), vector->size())
                : std::vector<Struct>();
}

ElementType decode(fb::ElementType type) {
  return static_cast<ElementType>(type);
}

/// Applies `decodeOne` to every element of a vector that may be absent.
template <class T, class Fn>
auto decodeEach(const flatbuffers::Vector<flatbuffers::Offset<T>> *vector,
                Fn decodeOne) {
  std::vector<decltype(decodeOne(vector->Get(0)))> result;
  if (vector) {
    result.reserve(vector->size());
    for (const T *element : *vector)
      result.push_back(decodeOne(element));
  }
  return result;
}

AxisPart decode(const fb::AxisPart *part) {
  return {part->axis(), part->pre(), part->size()};
}

Placement decode(const fb::Placement *placement) {
  return decodeEach(placement->dims(), [](const fb::DimPlacement *dim) {
    return decodeEach(dim->parts(),
                      [](const fb::AxisPart *part) { return decode(part); });
  });
}

template <class Table>
void decodePlaced(const Table *table, PlacedTensor &out) {
  out.name = decode(table->name());
  out.type = decode(table->type());
  out.shape = decode(table->shape());
  out.placement = decode(table->placement());
}

BufferRef decode(const fb::BufferRef *ref) {
  return {static_cast<Space>(ref->space()), ref->index(), ref->offset(),
          ref->size()};
}

Mesh decode(const fb::Mesh *mesh) {
  return {decode(mesh->name()),
          decodeEach(mesh->axes(), [](const fb::Axis *axis) {
            return MeshAxis{decode(axis->name()), axis->size()};
          })};
}

Parameter decode(const fb::Parameter *table) {
  Parameter parameter;
  decodePlaced(table, parameter);
  parameter.storedType = decode(table->stored_type());
  parameter.stackDim = table->stack_dim();
  parameter.sources =
      decodeEach(table->sources(), [](const fb::StridedSource *source) {
        return StridedSource{decode(source->tensor()),
                             decode(source->stored_shape()), source->offset(),
                             decode(source->strides())};
      });
  return parameter;
}

State decode(const fb::State *table) {
  State state;
  decodePlaced(table, state);
  return state;
}

Port decode(const fb::Port *table) {
  Port port;
  decodePlaced(table, port);
  port.buffer = decode(table->buffer());
  return port;
}

KernelStep decode(const fb::KernelStep *table) {
  KernelStep step;
  step.kernel = table->kernel();
  for (const fb::BufferRef &ref : decode(table->buffers()))
    step.buffers.push_back(decode(&ref));
  step.inputs = table->inputs();
  step.tiles = table->tiles();
  step.threads = table->threads();
  if (table->output_types())
    for (auto type : *table->output_types())
      step.outputTypes.push_back(static_cast<ElementType>(type));
  return step;
}

/// What may be absent.
template <class Table> auto decodeOptional(const Table *table) {
  return table ? std::optional(decode(table)) : std::nullopt;
}

MatmulStep decode(const fb::MatmulStep *table) {
  MatmulStep step;
  step.a = decode(table->a());
  step.b = decode(table->b());
  step.c = decode(table->c());
  step.aType = decode(table->a_type());
  step.bType = decode(table->b_type());
  step.cType = decode(table->c_type());
  for (const fb::MatmulBatchDim &dim : decode(table->batch()))
    step.batch.push_back(
        {dim.size(), dim.a_stride(), dim.b_stride(), dim.c_stride()});
  step.m = table->m();
  step.n = table->n();
  step.k = table->k();
  step.aMStride = table->a_m_stride();
  step.aKStride = table->a_k_stride();
  step.bKStride = table->b_k_stride();
  step.bNStride = table->b_n_stride();
  step.cMStride = table->c_m_stride();
  step.cNStride = table->c_n_stride();
  step.packB = table->pack_b();
  step.epilogue.bias = decodeOptional(table->bias());
  step.epilogue.activation = static_cast<Activation>(table->activation());
  step.generated = decodeOptional(table->generated());
  return step;
}

GroupedMatmulStep decode(const fb::GroupedMatmulStep *table) {
  GroupedMatmulStep step;
  step.rows = decode(table->rows());
  step.choices = decode(table->choices());
  step.weights = decode(table->weights());
  step.result = decode(table->result());
  step.type = decode(table->type());
  step.choiceType = decode(table->choice_type());
  step.n = table->n();
  step.c = table->c();
  step.e = table->e();
  step.d = table->d();
  step.f = table->f();
  step.rowPerChoice = table->row_per_choice();
  step.eStride = table->e_stride();
  step.dStride = table->d_stride();
  step.fStride = table->f_stride();
  step.pack = table->pack();
  step.generated = decodeOptional(table->generated());
  return step;
}

template <size_t N>
Result<void> decodeStrides(std::string_view role,
                           const flatbuffers::Vector<int64_t> *vector,
                           std::array<int64_t, N> &strides) {
  std::vector<int64_t> found = decode(vector);
  if (found.size() != N)
    return fail("{}: expected {} strides, found {}", role, N, found.size());
  std::copy(found.begin(), found.end(), strides.begin());
  return {};
}

Result<AttentionStep> decode(const fb::AttentionStep *table) {
  AttentionStep step;
  step.query = decode(table->query());
  step.key = decode(table->key());
  step.value = decode(table->value());
  step.result = decode(table->result());
  step.bias = decodeOptional(table->bias());
  step.lengths = decodeOptional(table->lengths());
  step.offset = decodeOptional(table->offset());
  step.sinks = decodeOptional(table->sinks());
  step.type = decode(table->type());
  step.biasType = decode(table->bias_type());
  step.lengthsType = decode(table->lengths_type());
  step.offsetType = decode(table->offset_type());
  step.sinksType = decode(table->sinks_type());
  step.b = table->b();
  step.s = table->s();
  step.t = table->t();
  step.k = table->k();
  step.g = table->g();
  step.d = table->d();
  step.v = table->v();
  TPCRT_TRY(decodeStrides("query", table->query_strides(), step.queryStrides));
  TPCRT_TRY(decodeStrides("key", table->key_strides(), step.keyStrides));
  TPCRT_TRY(decodeStrides("value", table->value_strides(), step.valueStrides));
  TPCRT_TRY(
      decodeStrides("result", table->result_strides(), step.resultStrides));
  if (step.bias)
    TPCRT_TRY(decodeStrides("bias", table->bias_strides(), step.biasStrides));
  step.offsetStride = table->offset_stride();
  step.scale = table->scale();
  step.causal = table->causal();
  if (auto window = table->window())
    step.window = *window;
  if (auto softcap = table->softcap())
    step.softcap = *softcap;
  step.generated = decodeOptional(table->generated());
  return step;
}

CollectiveStep decode(const fb::CollectiveStep *table) {
  CollectiveStep step;
  step.kind = static_cast<CollectiveKind>(table->kind());
  step.reduction = static_cast<Reduction>(table->reduction());
  step.type = decode(table->type());
  step.axes = decodeEach(table->axes(),
                         [](const fb::AxisPart *part) { return decode(part); });
  step.src = decode(table->src());
  step.dst = decode(table->dst());
  step.count = table->count();
  step.sources = decode(table->sources());
  step.origin = decode(table->origin());
  step.bytes = table->bytes();
  step.oneLaunch = table->one_launch();
  return step;
}

Result<Program> decode(const fb::Program *table) {
  Program program;
  program.name = decode(table->name());
  program.arenaBytes = table->arena_bytes();
  auto decodePort = [](const fb::Port *port) { return decode(port); };
  program.inputs = decodeEach(table->inputs(), decodePort);
  program.outputs = decodeEach(table->outputs(), decodePort);
  if (!table->steps())
    return program;
  for (const fb::Step *stepTable : *table->steps()) {
    Step step;
    step.name = decode(stepTable->name());
    step.location = decode(stepTable->location());
    if (auto *kernel = stepTable->body_as_KernelStep())
      step.body = decode(kernel);
    else if (auto *matmul = stepTable->body_as_MatmulStep())
      step.body = decode(matmul);
    else if (auto *grouped = stepTable->body_as_GroupedMatmulStep())
      step.body = decode(grouped);
    else if (auto *collective = stepTable->body_as_CollectiveStep())
      step.body = decode(collective);
    else if (auto *attention = stepTable->body_as_AttentionStep()) {
      auto decoded = decode(attention);
      if (!decoded)
        return fail("program '{}', step {} '{}': {}", program.name,
                    program.steps.size(), step.name, decoded.error().message);
      step.body = *decoded;
    } else
      return fail("program '{}', step {} '{}': unknown kind of step {}",
                  program.name, program.steps.size(), step.name,
                  static_cast<unsigned>(stepTable->body_type()));
    program.steps.push_back(std::move(step));
  }
  return program;
}

std::span<const std::byte>
decodeBytes(const flatbuffers::Vector<uint8_t> *bytes) {
  return std::as_bytes(std::span(bytes->data(), bytes->size()));
}

} // namespace

std::string_view tpcrt::collectiveName(CollectiveKind kind) {
  constexpr std::string_view names[] = {
      "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "permute"};
  return names[static_cast<uint8_t>(kind)];
}

std::string_view tpcrt::activationName(Activation activation) {
  constexpr std::string_view names[] = {"", "gelu_erf", "gelu_tanh", "silu",
                                        "tanh"};
  return names[static_cast<uint8_t>(activation)];
}

Result<Module> tpcrt::decodePayload(std::span<const std::byte> payload) {
  if (payload.size() >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return fail("expected a payload below 2 GiB, found {} bytes",
                payload.size());
  constexpr size_t maxDepth = 16, maxTables = size_t(1) << 26;
  flatbuffers::Verifier verifier(
      reinterpret_cast<const uint8_t *>(payload.data()), payload.size(),
      maxDepth, maxTables);
  if (!fb::VerifyArtifactBuffer(verifier))
    return fail("the payload is not a well-formed artifact table");

  const fb::Artifact *table = fb::GetArtifact(payload.data());
  Module module;
  module.producer = decode(table->producer());
  module.device = static_cast<DeviceKind>(table->device());
  module.mesh = decode(table->mesh());
  module.parameters = decodeEach(
      table->parameters(), [](const fb::Parameter *p) { return decode(p); });
  module.states =
      decodeEach(table->states(), [](const fb::State *s) { return decode(s); });
  module.constants = decodeEach(table->constants(), [](const fb::Constant *c) {
    return decodeBytes(c->data());
  });
  module.deviceScalars =
      decodeEach(table->device_scalars(),
                 [](const fb::DeviceScalar *s) { return decode(s->values()); });
  module.kernels =
      decodeEach(table->kernels(),
                 [](const flatbuffers::String *name) { return decode(name); });
  module.images = decodeEach(table->images(), [](const fb::KernelImage *image) {
    return KernelImage{decode(image->isa()), decodeBytes(image->bytes())};
  });
  for (const fb::Program *program : *table->programs()) {
    TPCRT_ASSIGN(Program decoded, decode(program));
    module.programs.push_back(std::move(decoded));
  }
  return module;
}

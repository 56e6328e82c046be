#include "FakeAttention.h"

#include "FakeMachine.h"
#include "support/Float16.h"

#include <cmath>
#include <cstring>

using namespace tpcrt;
using namespace tpcrt::fake;

namespace {

/// A tensor [batch, heads, rows, depth] of bf16 or f16.
struct View {
  ElementType type;
  CUdeviceptr address;
  std::array<int64_t, 3> strides;

  uint64_t at(int64_t b, int64_t h, int64_t row, int64_t d) const {
    uint64_t place =
        address + 2 * (b * strides[0] + h * strides[1] + row * strides[2] + d);
    machine().checkRange("an attention's operand", place, 2);
    return place;
  }
  float get(int64_t b, int64_t h, int64_t row, int64_t d) const {
    auto *place = reinterpret_cast<const void *>(at(b, h, row, d));
    auto load = [&]<class T>(T value) {
      std::memcpy(&value, place, sizeof(T));
      return float(value);
    };
    return type == ElementType::BF16 ? load(BFloat16()) : load(Half());
  }
  void set(int64_t b, int64_t h, int64_t row, int64_t d, float value) const {
    auto *place = reinterpret_cast<void *>(at(b, h, row, d));
    auto store = [&](auto stored) { std::memcpy(place, &stored, 2); };
    type == ElementType::BF16 ? store(BFloat16(value)) : store(Half(value));
  }
};

int64_t lengthAt(CUdeviceptr address, int64_t i) {
  machine().checkRange("an attention's lengths", address + 4 * i, 4);
  return reinterpret_cast<const int32_t *>(address)[i];
}

void compute(const AttentionForm &form, const AttentionPlan::Addresses &at) {
  View query{form.type, at.query, form.query};
  View key{form.type, at.key, form.key};
  View value{form.type, at.value, form.value};
  View result{form.type, at.result, form.result};
  for (int64_t b = 0; b < form.batch; ++b)
    for (int64_t h = 0; h < form.heads; ++h)
      for (int64_t i = 0; i < form.queries; ++i) {
        int64_t from = h / (form.heads / form.keyHeads), visible = form.keys;
        if (form.hasLengths)
          visible = std::min(visible, lengthAt(at.keyLengths, b));
        if (form.hasLengths && lengthAt(at.queryLengths, b) != form.queries)
          machine().misused("not all queries of an attention");
        if (form.causal)
          visible = std::min(visible, i + 1);
        std::vector<double> weights(visible);
        double total = 0, most = -INFINITY;
        for (int64_t j = 0; j < visible; ++j) {
          for (int64_t d = 0; d < form.depth; ++d)
            weights[j] +=
                form.scale * query.get(b, h, i, d) * key.get(b, from, j, d);
          most = std::max(most, weights[j]);
        }
        for (double &weight : weights)
          total += weight = std::exp(weight - most);
        for (int64_t d = 0; d < form.valueDepth; ++d) {
          double sum = 0;
          for (int64_t j = 0; j < visible; ++j)
            sum += weights[j] / total * value.get(b, from, j, d);
          result.set(b, h, i, d, float(sum));
        }
      }
}

class FakePlan final : public AttentionPlan {
public:
  explicit FakePlan(const AttentionForm &form) : form(form) {}
  Result<void> enqueue(CUstream stream, const Addresses &at) override {
    if (machine().called("attention") != CUDA_SUCCESS)
      return fail("out of memory");
    machine().enqueue(stream, "attention",
                      [form = form, at] { compute(form, at); });
    return {};
  }

private:
  AttentionForm form;
};

class FakeLibrary final : public AttentionLibrary {
public:
  Result<std::unique_ptr<AttentionPlan>> prepare(const AttentionForm &form,
                                                 uint64_t) override {
    return std::make_unique<FakePlan>(form);
  }
};

} // namespace

Result<std::shared_ptr<AttentionLibrary>>
tpcrt::fake::attention(const std::shared_ptr<Gpu> &) {
  return std::make_shared<FakeLibrary>();
}

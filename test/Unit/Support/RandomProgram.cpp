//===- RandomProgram.cpp - Small random graphs ----------------------------===//

#include "RandomProgram.h"
#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace {

using Shape = std::vector<int64_t>;

struct Value {
  std::string name;
  Shape shape;
};

std::string list(const Shape &values) {
  std::string text;
  for (int64_t value : values)
    text += (text.empty() ? "" : ", ") + std::to_string(value);
  return "[" + text + "]";
}

std::string type(const Shape &shape, const std::string &element) {
  std::string text = "tensor<";
  for (int64_t n : shape)
    text += std::to_string(n) + "x";
  return text + element + ">";
}

class Generator {
public:
  Generator(unsigned seed, std::string element)
      : random(seed), element(std::move(element)) {}

  std::string run() {
    chooseMesh();
    values.push_back(argument(randomShape(pick(2, 3)), element));
    for (int i = 0, n = pick(4, 10); i < n; ++i)
      addOperation();
    std::vector<Value> results{values.back()};
    for (int i = pick(0, 1); i > 0; --i)
      results.push_back(any());
    return text(results);
  }

private:
  //===--------------------------------------------------------------------===//
  // Choices
  //===--------------------------------------------------------------------===//

  /// In [low, high].
  int64_t pick(int64_t low, int64_t high) {
    return low + random() % (high - low + 1);
  }
  bool chance(int percent) { return pick(1, 100) <= percent; }
  int64_t size() {
    static const int64_t sizes[] = {1, 2, 3, 4, 4, 5, 6, 7, 8, 12};
    return sizes[pick(0, 9)];
  }
  Shape randomShape(int64_t rank) {
    Shape shape;
    for (int64_t i = 0; i < rank; ++i)
      shape.push_back(size());
    return shape;
  }
  const Value &any() { return values[pick(0, values.size() - 1)]; }
  /// Mostly the newest value, so that graphs are deep.
  Value recent() { return chance(70) ? values.back() : any(); }
  static int64_t elements(const Shape &shape) {
    int64_t product = 1;
    for (int64_t n : shape)
      product *= n;
    return product;
  }

  void chooseMesh() {
    static const std::vector<std::pair<const char *, int64_t>> meshes[] = {
        {{"tp", 2}},
        {{"tp", 3}},
        {{"tp", 4}},
        {{"dp", 2}, {"tp", 2}},
        {{"dp", 2}, {"tp", 3}},
        {{"dp", 3}, {"tp", 2}},
        {{"x", 2}, {"tp", 4}},
        {{"dp", 2}, {"x", 2}, {"tp", 2}},
        {{"tp", 8}},
        {{"tp", 1}}};
    axes = meshes[pick(0, 9)];
  }

  /// A pin: every axis, or half of an axis of 4, splits some dimension or none.
  std::string pin(const Shape &shape) {
    std::vector<std::string> dims(shape.size());
    auto place = [&](const std::string &axis) {
      if (shape.empty() || chance(50))
        return;
      std::string &dim = dims[pick(0, shape.size() - 1)];
      dim += (dim.empty() ? "" : ", ") + axis;
    };
    for (const auto &[name, size] : axes) {
      std::string quoted = "\"" + std::string(name) + "\"";
      if (size == 4 && chance(30)) {
        place(quoted + ":(1)2");
        place(quoted + ":(2)2");
      } else {
        place(quoted);
      }
    }
    std::string text;
    for (const std::string &dim : dims)
      text += (text.empty() ? "{" : ", {") + dim + "}";
    return "<@mesh, [" + text + "]>";
  }
  std::string maybePinned(const Shape &shape, int percent) {
    if (!chance(percent))
      return "";
    return " {tpc.sharding = #tpc.sharding" + pin(shape) + "}";
  }

  //===--------------------------------------------------------------------===//
  // Values
  //===--------------------------------------------------------------------===//

  Value argument(const Shape &shape, const std::string &elementType) {
    Value value{"%arg" + std::to_string(numArguments++), shape};
    elementTypes[value.name] = elementType;
    arguments += (arguments.empty() ? "" : ", ") + value.name + ": " +
                 type(shape, elementType) + maybePinned(shape, 20);
    return value;
  }

  Value parameter(const Shape &shape) {
    std::string name = "w" + std::to_string(numParameters++);
    parameters += "tpc.parameter @" + name + " : " + type(shape) +
                  maybePinned(shape, 25) + "\n";
    Value value{"%" + name, shape};
    body +=
        "  " + value.name + " = tpc.read @" + name + " : " + type(shape) + "\n";
    if (chance(20))
      values.push_back(value); // used again elsewhere
    return value;
  }

  /// A value of this shape: one that there is, or a parameter.
  Value like(const Shape &shape) {
    std::vector<Value> fitting;
    for (const Value &value : values)
      if (value.shape == shape)
        fitting.push_back(value);
    if (fitting.empty() || chance(25))
      return parameter(shape);
    return fitting[pick(0, fitting.size() - 1)];
  }

  std::string typeOf(const Value &value) {
    auto it = elementTypes.find(value.name);
    return type(value.shape, it == elementTypes.end() ? element : it->second);
  }

  /// `%n = tpc.OP operands attributes : (types) -> type`.
  /// `named` are operands behind a keyword.
  Value make(const std::string &op, const std::vector<Value> &operands,
             const std::string &attributes, const Shape &shape,
             std::string resultElement = "",
             const std::vector<std::pair<std::string, Value>> &named = {}) {
    if (resultElement.empty())
      resultElement = element;
    Value result{"%" + std::to_string(numValues++), shape};
    elementTypes[result.name] = resultElement;
    std::string names, types;
    for (const Value &operand : operands) {
      names += (names.empty() ? "" : ", ") + operand.name;
      types += (types.empty() ? "" : ", ") + typeOf(operand);
    }
    for (const auto &[keyword, operand] : named) {
      names += " " + keyword + " " + operand.name;
      types += ", " + typeOf(operand);
    }
    body += "  " + result.name + " = tpc." + op + " " + names + " " +
            attributes + " : (" + types + ") -> " + type(shape, resultElement) +
            "\n";
    return result;
  }
  void keep(Value value) {
    if (elements(value.shape) > 600 || value.shape.size() > 5)
      return;
    if (chance(8))
      value = make("shard", {value}, pin(value.shape), value.shape);
    values.push_back(value);
  }

  //===--------------------------------------------------------------------===//
  // Operations
  //===--------------------------------------------------------------------===//

  void addOperation() {
    Value x = recent();
    switch (pick(0, 24)) {
    case 0:
    case 1:
    case 2:
      return product(x);
    case 3:
      return keep(make("add", {x, like(x.shape)}, "", x.shape));
    case 4:
      return keep(make("mul", {x, like(x.shape)}, "", x.shape));
    case 5:
      return keep(
          make(oneOf({"max", "min", "sub"}), {x, like(x.shape)}, "", x.shape));
    case 6:
      return keep(make(oneOf({"tanh", "gelu erf", "gelu tanh", "silu", "neg",
                              "abs", "sin", "cos", "erf"}),
                       {x}, "", x.shape));
    case 7:
      return choice(x);
    case 8:
      return reduction(x);
    case 9:
      return repetition(x);
    case 10:
      return reshape(x);
    case 11:
      return transpose(x);
    case 12:
      return cutOut(x);
    case 13:
      return concat(x);
    case 14:
      return lookUp();
    case 15:
      return scatter(x);
    case 16:
      return creation();
    case 17:
      return normalization(x);
    case 18:
      return state(x);
    case 19:
      return ordering(x);
    case 20:
      return quotient(x);
    case 21:
      return moved(x);
    case 22:
      return residuals(x);
    default:
      return attention(x);
    }
  }

  static int64_t lastDim(const Value &x) {
    return static_cast<int64_t>(x.shape.size()) - 1;
  }
  std::string oneOf(const std::vector<std::string> &names) {
    return names[pick(0, names.size() - 1)];
  }

  /// With itself or another value, of another size at times.
  void concat(const Value &x) {
    size_t dim = pick(0, lastDim(x));
    Shape other = x.shape, shape = x.shape;
    if (chance(50))
      other[dim] = size();
    shape[dim] += other[dim];
    std::vector<Value> parts{x, like(other)};
    if (chance(50))
      std::swap(parts[0], parts[1]);
    keep(make("concat", parts, "dim " + std::to_string(dim), shape));
  }

  /// The largest values, or all in order. What is ordered is new: values that
  /// are equal but for rounding have no order to test.
  void ordering(const Value &x) {
    Value fresh = parameter(x.shape);
    Shape shape = x.shape;
    bool sorts = chance(40);
    if (!sorts)
      shape.back() = pick(1, shape.back());
    Value values{"%" + std::to_string(numValues++), shape};
    Value positions{"%" + std::to_string(numValues++), shape};
    elementTypes[positions.name] = "i64";
    body += "  " + values.name + ", " + positions.name + " = tpc." +
            (sorts ? "sort " : "top_k ") + fresh.name +
            (sorts && chance(50) ? " descending" : "") + " : (" +
            typeOf(fresh) + ") -> (" + typeOf(values) + ", " +
            typeOf(positions) + ")\n";
    keep(values);
    keep(make("convert", {positions}, "", shape));
  }

  /// x / (|y| + 1), the root of it, or a power.
  void quotient(const Value &x) {
    Value y = make("abs", {like(x.shape)}, "", x.shape);
    Value above = make("add", {y, filled(x.shape, "1.0")}, "", x.shape);
    if (chance(60))
      return keep(make("div", {x, above}, "", x.shape));
    if (chance(50))
      return keep(make(oneOf({"sqrt", "rsqrt", "log"}), {above}, "", x.shape));
    keep(make("pow", {above, filled(x.shape, "-0.5")}, "", x.shape));
  }

  /// A part at a position that is an input; read, or overwritten.
  void moved(const Value &x) {
    Value start = indexArgument({int64_t(x.shape.size())});
    Shape part;
    for (int64_t n : x.shape)
      part.push_back(pick(1, n));
    if (chance(50))
      return keep(make("dynamic_slice", {x, start}, "", part));
    keep(make("update_slice", {x, like(part), start}, "", x.shape));
  }

  /// x + f(x) + g(x + f(x)) ...
  void residuals(const Value &x) {
    Value sum = x;
    for (int64_t i = 0, n = pick(2, 3); i < n; ++i) {
      Value branch =
          make(oneOf({"tanh", "silu", "softmax"}), {sum}, "", x.shape);
      sum = make("add", {sum, branch}, "", x.shape);
    }
    keep(sum);
  }

  Value filled(const Shape &shape, const std::string &value) {
    Value result{"%" + std::to_string(numValues++), shape};
    body += "  " + result.name + " = tpc.constant dense<" + value +
            "> : " + type(shape) + " : " + type(shape) + "\n";
    return result;
  }

  /// "a b c, c x y -> a b x y" with a parameter, with a bias or without.
  void product(const Value &x) {
    std::string left, right, result;
    Shape weight{x.shape.back()}, shape(x.shape.begin(), x.shape.end() - 1);
    for (size_t i = 0; i < x.shape.size(); ++i) {
      std::string letter(1, 'a' + i);
      left += (i ? " " : "") + letter;
      if (i + 1 < x.shape.size())
        result += letter + " ";
      else
        right = letter;
    }
    Shape bias;
    for (int64_t i = 0, n = pick(1, 2); i < n; ++i) {
      bias.push_back(size());
      weight.push_back(bias.back());
      shape.push_back(bias.back());
      std::string letter(1, 'x' + i);
      right += " " + letter;
      result += letter + " ";
    }
    std::string equation = "\"" + left + ", " + right + " -> " + result + "\"";
    if (chance(50))
      return keep(make("linear", {x, parameter(weight), parameter(bias)},
                       equation, shape));
    keep(make("matmul", {x, like(weight)}, equation, shape));
  }

  void choice(const Value &x) {
    Value y = like(x.shape);
    Value condition = make("compare lt", {x, y}, "", x.shape, "i1");
    keep(make("select", {condition, y, like(x.shape)}, "", x.shape));
  }

  void reduction(const Value &x) {
    Shape dims, rest;
    for (size_t i = 0; i < x.shape.size(); ++i)
      if (chance(40))
        dims.push_back(i);
      else
        rest.push_back(x.shape[i]);
    if (rest.empty())
      return;
    keep(make(chance(70) ? "reduce sum" : "reduce max", {x},
              "dims " + list(dims), rest));
  }

  void repetition(const Value &x) {
    Shape shape, dims;
    for (int64_t n : x.shape) {
      if (chance(30))
        shape.push_back(size());
      dims.push_back(shape.size());
      shape.push_back(n == 1 && chance(50) ? size() : n);
    }
    keep(make("broadcast", {x}, "dims " + list(dims), shape));
  }

  void reshape(const Value &x) {
    Shape shape = x.shape;
    size_t dim = pick(0, shape.size() - 1);
    if (chance(50) && dim + 1 < shape.size()) {
      shape[dim] *= shape[dim + 1];
      shape.erase(shape.begin() + dim + 1);
    } else {
      int64_t n = shape[dim], divisor = n % 4 == 0 ? 4 : n % 2 == 0 ? 2 : n;
      shape[dim] = n / divisor;
      shape.insert(shape.begin() + dim + pick(0, 1), divisor);
    }
    keep(make("reshape", {x}, "", shape));
  }

  void transpose(const Value &x) {
    Shape order, shape;
    for (size_t i = 0; i < x.shape.size(); ++i)
      order.push_back(i);
    std::shuffle(order.begin(), order.end(), random);
    for (int64_t dim : order)
      shape.push_back(x.shape[dim]);
    keep(make("transpose", {x}, list(order), shape));
  }

  void cutOut(const Value &x) {
    Shape start(x.shape.size()), shape = x.shape;
    size_t dim = pick(0, shape.size() - 1);
    start[dim] = pick(0, shape[dim] - 1);
    shape[dim] = pick(1, shape[dim] - start[dim]);
    if (chance(60))
      return keep(make("slice", {x}, list(start), shape));
    shape = x.shape;
    shape[dim] += start[dim] + pick(0, 2);
    keep(make("pad", {x}, "low " + list(start) + " with 0.0", shape));
  }

  void lookUp() {
    Shape indices = randomShape(pick(1, 2));
    Shape table{pick(5, 9), size()};
    Value tokens = indexArgument(indices);
    Shape shape = indices;
    shape.push_back(table[1]);
    if (chance(60))
      return keep(make("embedding", {parameter(table), tokens}, "", shape));
    if (chance(50))
      return keep(make("gather", {parameter(table), tokens}, "dim 0", shape));
    shape.insert(shape.begin(), table[0]);
    shape.pop_back();
    keep(make("gather", {parameter(table), tokens}, "dim 1", shape));
  }

  void scatter(const Value &x) {
    Value tokens = indexArgument({size()});
    Shape updates = x.shape;
    updates[0] = tokens.shape[0];
    keep(make("scatter_add", {x, tokens, like(updates)}, "dim 0", x.shape));
  }

  Value indexArgument(const Shape &shape) { return argument(shape, "i64"); }

  void creation() {
    Shape shape = randomShape(pick(1, 3));
    Value value;
    if (chance(50)) {
      value = filled(shape, "0.75");
    } else {
      value = {"%" + std::to_string(numValues++), shape};
      body += "  " + value.name + " = tpc.iota dim " +
              std::to_string(pick(0, lastDim(value))) + " : " +
              type(shape, "i64") + "\n";
      elementTypes[value.name] = "i64";
      value = make("convert", {value}, "", shape);
    }
    keep(value);
  }

  void normalization(const Value &x) {
    if (x.shape.size() > 1 && chance(20)) {
      Shape rows(x.shape.begin(), x.shape.end() - 1);
      return keep(make("cross_entropy", {x, indexArgument(rows)}, "", rows));
    }
    if (chance(50))
      return keep(make("softmax", {x}, "", x.shape));
    Shape last{x.shape.back()};
    if (chance(50))
      return keep(
          make("rms_norm", {x, parameter(last)}, "epsilon 0.01", x.shape));
    keep(make("layer_norm", {x, parameter(last), parameter(last)},
              "epsilon 0.01", x.shape));
  }

  /// Reads a state before and after it is overwritten by x.
  void state(const Value &x) {
    std::string name = "s" + std::to_string(numParameters++), t = type(x.shape);
    parameters +=
        "tpc.state @" + name + " : " + t + maybePinned(x.shape, 25) + "\n";
    Value old{"%" + name + "old", x.shape}, now{"%" + name + "new", x.shape};
    if (chance(50)) {
      body += "  " + old.name + " = tpc.read @" + name + " : " + t + "\n";
      keep(make("add", {x, old}, "", x.shape));
    }
    body += "  tpc.write @" + name + ", " + x.name + " : " + t + "\n";
    if (chance(20))
      body +=
          "  tpc.write @" + name + ", " + like(x.shape).name + " : " + t + "\n";
    body += "  " + now.name + " = tpc.read @" + name + " : " + t + "\n";
    keep(now);
  }

  /// Projections, attention and output projection of x [b, s, e].
  void attention(const Value &x) {
    if (x.shape.size() != 3)
      return product(x);
    int64_t b = x.shape[0], s = x.shape[1], e = x.shape[2];
    int64_t h = pick(1, 5), g = pick(1, 2), d = pick(1, 3);
    Value q = make("matmul", {x, parameter({e, h, g, d})},
                   "\"b s e, e h g d -> b s h g d\"", {b, s, h, g, d});
    q = turned(q);
    auto projected = [&] {
      return make("linear", {x, parameter({e, h, d}), parameter({h, d})},
                  "\"b s e, e h d -> b s h d\"", {b, s, h, d});
    };
    Value k = turned(projected()), v = projected();
    std::vector<std::pair<std::string, Value>> named;
    std::string mask;
    if (chance(30))
      named.push_back({"lengths", indexArgument({b})});
    if (chance(60)) {
      mask = chance(50) ? " causal" : " causal window 2";
      if (chance(50))
        named.push_back(
            {"offset", indexArgument(chance(50) ? Shape{b} : Shape{})});
    }
    Value context = make("attention", {q, k, v}, "scale 0.5" + mask,
                         {b, s, h, g, d}, "", named);
    Value out = make("matmul", {context, parameter({h, g, d, e})},
                     "\"b s h g d, h g d e -> b s e\"", x.shape);
    keep(make("add", {out, x}, "", x.shape));
  }

  /// Perhaps rotary positions of x [b, s, ..., d].
  Value turned(const Value &x) {
    if (x.shape.back() < 2 || chance(50))
      return x;
    Value positions = indexArgument({x.shape[0], x.shape[1]});
    Value frequencies = parameter({pick(1, x.shape.back() / 2)});
    return make(chance(50) ? "rope halves" : "rope pairs",
                {x, positions, frequencies}, "scale 1.0", x.shape);
  }

  std::string text(const std::vector<Value> &results) {
    std::string mesh, types, names, resultTypes;
    for (const auto &[name, size] : axes)
      mesh += (mesh.empty() ? "\"" : ", \"") + std::string(name) +
              "\" = " + std::to_string(size);
    for (const Value &result : results) {
      names += (names.empty() ? "" : ", ") + result.name;
      types += (types.empty() ? "" : ", ") + typeOf(result);
      resultTypes += (resultTypes.empty() ? "" : ", ") + typeOf(result) +
                     maybePinned(result.shape, 20);
    }
    return "tpc.mesh @mesh <" + mesh + ">\n" + parameters + "func.func @main(" +
           arguments + ") -> (" + resultTypes + ") {\n" + body + "  return " +
           names + " : " + types + "\n}\n";
  }

  std::string type(const Shape &shape) const { return ::type(shape, element); }
  static std::string type(const Shape &shape, const std::string &other) {
    return ::type(shape, other);
  }

  std::mt19937 random;
  std::string element; // of floats
  std::vector<std::pair<const char *, int64_t>> axes;
  std::string arguments, parameters, body;
  int numArguments = 0, numParameters = 0, numValues = 0;
  std::vector<Value> values;
  std::map<std::string, std::string> elementTypes; // where it is another
};

} // namespace

std::string tpc::test::randomProgram(unsigned seed,
                                     const std::string &element) {
  return Generator(seed, element).run();
}

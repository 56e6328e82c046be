//===- ModuleText.cpp - Modules in text, op by op -------------------------===//

#include "ModuleText.h"

using namespace tpc;
using llvm::ArrayRef;

static std::string pinned(const std::string &pin) {
  return pin.empty() ? ""
                     : " {tpc.sharding = #tpc.sharding<@mesh, " + pin + ">}";
}

std::string test::ModuleText::type(ArrayRef<int64_t> shape,
                                   const std::string &element) const {
  std::string text = "tensor<";
  for (int64_t n : shape)
    text += std::to_string(n) + "x";
  return text + element + ">";
}

void test::ModuleText::argument(const std::string &name,
                                ArrayRef<int64_t> shape, const std::string &pin,
                                const std::string &own) {
  types[name] = type(shape, own.empty() ? element : own);
  arguments += (arguments.empty() ? "%" : ", %") + name + ": " + types[name] +
               pinned(pin);
}

void test::ModuleText::parameter(const std::string &name,
                                 ArrayRef<int64_t> shape,
                                 const std::string &pin) {
  types[name] = type(shape, element);
  symbols +=
      "tpc.parameter @" + name + " : " + types[name] + pinned(pin) + "\n";
  body += "%" + name + " = tpc.read @" + name + " : " + types[name] + "\n";
}

void test::ModuleText::state(const std::string &name, ArrayRef<int64_t> shape) {
  types[name] = type(shape, element);
  symbols += "tpc.state @" + name + " : " + types[name] + "\n";
  body += "%" + name + " = tpc.read @" + name + " : " + types[name] + "\n";
}

void test::ModuleText::write(const std::string &state,
                             const std::string &value) {
  body += "tpc.write @" + state + ", %" + value + " : " + types[value] + "\n";
}

void test::ModuleText::op(const std::string &result, const std::string &text,
                          const std::vector<std::string> &operands,
                          ArrayRef<int64_t> shape) {
  std::string from;
  for (const std::string &operand : operands)
    from += (from.empty() ? "" : ", ") + types[operand];
  types[result] = type(shape, element);
  body += "%" + result + " = tpc." + text + " : (" + from + ") -> " +
          types[result] + "\n";
}

void test::ModuleText::constant(const std::string &name,
                                const std::string &value,
                                ArrayRef<int64_t> shape) {
  types[name] = type(shape, element);
  body += "%" + name + " = tpc.constant dense<" + value + "> : " + types[name] +
          " : " + types[name] + "\n";
}

void test::ModuleText::result(const std::string &name, const std::string &pin) {
  const char *comma = returned.empty() ? "" : ", ";
  returned += comma + ("%" + name);
  returnedTypes += comma + types[name];
  results += comma + types[name] +
             (pin.empty() ? " {tpc.name = \"" + name + "\"}"
                          : " {tpc.name = \"" + name +
                                "\", tpc.sharding = #tpc.sharding<@mesh, " +
                                pin + ">}");
}

std::string test::ModuleText::str() const {
  return "tpc.mesh @mesh <" + mesh + ">\n" + symbols + "func.func @main(" +
         arguments + ") -> (" + results + ") {\n" + body + "return " +
         returned + (returned.empty() ? "" : " : ") + returnedTypes + "\n}\n";
}

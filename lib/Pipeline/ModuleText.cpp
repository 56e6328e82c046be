//===- ModuleText.cpp - Is a module's text safe to parse? -----------------===//
//
// A scan of the text that knows strings, comments, brackets, names of aliases
// and operators. It need not know more: text in which it misjudges a bracket is
// no legal module, and the parser stops there.
//
//===----------------------------------------------------------------------===//

#include "tpc/Pipeline/ModuleText.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace tpc;

namespace {

class Scanner {
public:
  explicit Scanner(StringRef text) : text(text) {}

  /// The place of the first token that is nested too deeply.
  std::optional<size_t> findTooDeep() {
    while (at < text.size()) {
      size_t begin = at;
      scanToken();
      deepest = std::max(deepest, depth());
      if (deepest > kMaxNesting)
        return begin;
    }
    return std::nullopt;
  }

private:
  static constexpr StringRef opening = "([{<", closing = ")]}>";

  void scanToken() {
    char c = text[at];
    if (c == '"')
      return skipString();
    if (text.substr(at).starts_with("//"))
      return skipTo(text.find('\n', at));
    if (c == '#' || c == '!')
      return scanAlias();
    if (isWordChar(c))
      return scanWord();
    ++at;
    if (size_t kind = opening.find(c); kind != StringRef::npos)
      ++open[kind];
    // "->" and ">=" are no brackets.
    else if (size_t kind = closing.find(c);
             kind != StringRef::npos && open[kind] > 0 &&
             !(c == '>' && (text[at - 2] == '-' || next() == '=')))
      --open[kind];
    if (c == '+' || c == '-' || c == '*')
      ++operators;
    else if (c == ',' || c == ':' || c == '=')
      operators = 0;
    aliasDepth = 0;
  }

  void skipString() {
    for (++at; at < text.size() && text[at] != '"' && text[at] != '\n'; ++at)
      at += text[at] == '\\';
    ++at;
  }
  void skipTo(size_t end) { at = std::min(end, text.size()); }

  static bool isWordChar(char c) {
    return llvm::isAlnum(c) || c == '_' || c == '$' || c == '.';
  }
  StringRef takeWord() {
    StringRef word = text.substr(at).take_while(isWordChar);
    at += word.size();
    return word;
  }
  void scanWord() {
    StringRef word = takeWord();
    operators += word == "mod" || word == "floordiv" || word == "ceildiv";
    aliasDepth = 0;
  }

  /// A definition `#name = ...` or a use.
  void scanAlias() {
    size_t begin = at++;
    takeWord();
    StringRef name = text.slice(begin, at);
    if (next() == '=' && !text.substr(at).ltrim().starts_with("==")) {
      define(name);
      return;
    }
    auto found = aliases.find(name);
    aliasDepth = found == aliases.end() ? 0 : found->second;
  }

  /// Where a definition ends is left open: it is at most as deep as what was
  /// scanned since it began.
  void define(StringRef name) {
    if (!defining.empty())
      aliases[defining] = deepest;
    defining = name;
    aliases.erase(name); // of a part before, in a file of several modules
    deepest = operators = 0;
  }

  /// The next character that is no space, or 0.
  char next() const {
    StringRef rest = text.substr(at).ltrim();
    return rest.empty() ? 0 : rest.front();
  }
  unsigned depth() const {
    return open[0] + open[1] + open[2] + open[3] + operators + aliasDepth;
  }

  StringRef text;
  size_t at = 0;
  unsigned open[4] = {};
  unsigned operators = 0;  // in a row, of one affine expression
  unsigned aliasDepth = 0; // of the alias that was just named
  unsigned deepest = 0;    // since the last definition
  StringRef defining;
  llvm::StringMap<unsigned> aliases;
};

} // namespace

LogicalResult tpc::checkModuleText(llvm::MemoryBufferRef text,
                                   MLIRContext *context) {
  auto location = [&](unsigned line, unsigned column) {
    return FileLineColLoc::get(context, text.getBufferIdentifier(), line,
                               column);
  };
  if (text.getBuffer().starts_with("ML\xEFR"))
    return emitError(location(1, 1))
           << "expected a module as text, found bytecode; print it as text "
              "(mlir-opt FILE -o FILE.mlir)";
  auto place = Scanner(text.getBuffer()).findTooDeep();
  if (!place)
    return success();
  StringRef before = text.getBuffer().take_front(*place);
  return emitError(location(before.count('\n') + 1,
                            *place - (before.rfind('\n') + 1) + 1))
         << "expected types, attributes, locations and regions nested at most "
         << kMaxNesting << " deep, found more here";
}

OwningOpRef<ModuleOp> tpc::parseModule(std::unique_ptr<llvm::MemoryBuffer> text,
                                       MLIRContext *context) {
  if (failed(checkModuleText(*text, context)))
    return {};
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(text), SMLoc());
  return parseSourceFile<ModuleOp>(sources, context);
}

//===- Diagnostics.cpp - MLIR's diagnostics as text -----------------------===//

#include "tpc/Driver/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace tpc;

static std::string place(Location location, StringRef nowhere) {
  std::string text;
  if (auto file = location->findInstanceOf<FileLineColLoc>())
    text = llvm::formatv("{0}:{1}:{2}: ", file.getFilename().getValue(),
                         file.getLine(), file.getColumn());
  if (auto name = location->findInstanceOf<NameLoc>())
    text += name.getName().str() + ": ";
  return text.empty() ? nowhere.str() : text;
}

std::string tpc::diagnosticText(Diagnostic &diagnostic, StringRef nowhere) {
  StringRef kind =
      diagnostic.getSeverity() == DiagnosticSeverity::Error ? "error" : "note";
  std::string text =
      llvm::formatv("{0}{1}: {2}\n", place(diagnostic.getLocation(), nowhere),
                    kind, diagnostic.str());
  for (Diagnostic &note : diagnostic.getNotes())
    text += diagnosticText(note, nowhere);
  return text;
}

void tpc::printDiagnostics(MLIRContext &context, llvm::StringLiteral tool) {
  context.getDiagEngine().registerHandler([tool](Diagnostic &diagnostic) {
    llvm::errs() << diagnosticText(diagnostic, (tool + ": ").str());
  });
}

DiagnosticCollector::DiagnosticCollector(MLIRContext *context)
    : handler(context, [this](Diagnostic &diagnostic) {
        text += diagnosticText(diagnostic);
        return success();
      }) {}

tl::unexpected<tpcrt::Error> DiagnosticCollector::error() const {
  StringRef trimmed = StringRef(text).rtrim();
  trimmed.consume_front("error: ");
  return tpcrt::makeError(trimmed.str());
}

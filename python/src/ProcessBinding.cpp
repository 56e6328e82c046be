// The processes that run programs together (tpc/_distributed.py).
#include "Binding.h"
#include "tpcrt/ProcessGroup.h"

using namespace tpc::python;

namespace {

// Of this process, once init_distributed was called.
std::shared_ptr<tpcrt::ProcessGroup> group;
tpcrt::Transport transport = tpcrt::Transport::Auto;

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

/// Rank and number of processes.
std::pair<uint32_t, uint32_t> connectGroup(double timeout, double startTimeout,
                                           bool network) {
  nb::gil_scoped_release release;
  auto settings = unwrap(tpcrt::readLaunchSettings());
  if (!settings || settings->size == 1)
    return {0, 1};
  tpcrt::GroupOptions options;
  options.timeout = milliseconds(timeout);
  options.startTimeout = milliseconds(startTimeout);
  options.fingerprint = "tpc for Python";
  group = unwrap(tpcrt::ProcessGroup::connect(std::move(*settings), options));
  transport = network ? tpcrt::Transport::Network : tpcrt::Transport::Auto;
  return {group->rank(), group->size()};
}

void closeGroup() {
  nb::gil_scoped_release release;
  if (auto leaving = std::exchange(group, nullptr))
    unwrap(leaving->close());
}

void abortGroup(const std::string &message) {
  if (auto leaving = std::exchange(group, nullptr))
    leaving->abort(message);
}

} // namespace

tpcrt::LoadOptions tpc::python::loadOptions(unsigned threads) {
  tpcrt::LoadOptions options;
  options.threads = threads;
  options.processes = group;
  options.transport = transport;
  if (group)
    options.deadline = group->options().timeout;
  return options;
}

void tpc::python::bindProcesses(nb::module_ &module) {
  module.def("connect_processes", &connectGroup);
  module.def("close_processes", &closeGroup);
  module.def("abort_processes", &abortGroup);
}

// A communicator of streams behind the interface of those that the host polls,
// so that one conformance suite runs against both. Devices call from threads of
// their own; the last one to join an operation enqueues it for all.
#ifndef TPC_TEST_UNIT_CUDA_STREAMADAPTER_H
#define TPC_TEST_UNIT_CUDA_STREAMADAPTER_H

#include "comm/cuda/StreamCommunicator.h"

namespace tpcrt::test {

/// `devices` are those of this process, which `streams` connects.
std::unique_ptr<Communicator>
adaptStreams(std::vector<StreamDevice> devices,
             std::unique_ptr<StreamCommunicator> streams);

} // namespace tpcrt::test

#endif // TPC_TEST_UNIT_CUDA_STREAMADAPTER_H

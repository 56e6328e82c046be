// What environments say of a process: one row for each, good and bad.
#include "GroupHarness.h"
#include "processes/SlurmLists.h"

#include <map>
#include <sstream>

using namespace tpcrt;

namespace {

/// "A=1 B=2" as an environment.
class Variables {
public:
  explicit Variables(const std::string &text) {
    std::istringstream words(text);
    for (std::string word; words >> word;)
      values[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  }
  Result<std::optional<LaunchSettings>> read() const {
    return readLaunchSettings([this](const char *name) -> const char * {
      auto found = values.find(name);
      return found == values.end() ? nullptr : found->second.c_str();
    });
  }

private:
  std::map<std::string, std::string> values;
};

struct Row {
  const char *environment;
  /// "launcher rank/size localRank/localSize address:port token", or a part of
  /// the error, or "none".
  const char *expected;
};

} // namespace

static std::string describe(const LaunchSettings &settings) {
  std::string text = fmt::format(
      "{} {}/{} {}/{} {} {}", settings.launcher, settings.rank, settings.size,
      settings.localRank, settings.localSize,
      settings.port == 0 ? "-" : addressText(settings.address, settings.port),
      settings.token.empty() ? "-" : settings.token);
  if (settings.listener)
    text += fmt::format(" listener {}", *settings.listener);
  return text;
}

#define TPC "TPC_RANK=1 TPC_WORLD_SIZE=4 TPC_LOCAL_RANK=1 TPC_LOCAL_SIZE=4 "
#define TORCH "RANK=1 WORLD_SIZE=4 LOCAL_RANK=1 LOCAL_WORLD_SIZE=2 "
#define MASTER "MASTER_ADDR=node0 MASTER_PORT=29500 "
#define MPI                                                                    \
  "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=4 "                             \
  "OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=4 "
#define STEP "SLURM_JOB_ID=7 SLURM_STEP_ID=2 SLURM_LOCALID=1 "
#define SLURM                                                                  \
  STEP "SLURM_PROCID=3 SLURM_NTASKS=4 SLURM_NTASKS_PER_NODE=2 "                \
       "SLURM_STEP_NODELIST=node[003-007,9] "

static const Row good[] = {
    {"", "none"},
    {"HOME=/root MASTER_ADDR=a MASTER_PORT=1", "none"},
    {"TPC_TOKEN=x TPC_MASTER_ADDR=a TPC_MASTER_PORT=1", "none"},
    // tpc-launch
    {TPC "TPC_MASTER_ADDR=127.0.0.1 TPC_MASTER_PORT=3000 TPC_TOKEN=s",
     "tpc-launch 1/4 1/4 127.0.0.1:3000 s"},
    {TPC "TPC_MASTER_ADDR=::1 TPC_MASTER_PORT=3000",
     "tpc-launch 1/4 1/4 [::1]:3000 -"},
    {"TPC_RANK=0 TPC_WORLD_SIZE=2 TPC_LOCAL_RANK=0 TPC_LOCAL_SIZE=2 "
     "TPC_MASTER_ADDR=a TPC_MASTER_PORT=1 TPC_LISTEN_FD=5",
     "tpc-launch 0/2 0/2 a:1 - listener 5"},
    {TPC "TPC_MASTER_ADDR=a TPC_MASTER_PORT=1 TPC_LISTEN_FD=5",
     "tpc-launch 1/4 1/4 a:1 -"},
    {"TPC_RANK=0 TPC_WORLD_SIZE=1 TPC_LOCAL_RANK=0 TPC_LOCAL_SIZE=1",
     "tpc-launch 0/1 0/1 - -"},
    // torchrun
    {TORCH MASTER, "torchrun 1/4 1/2 node0:29500 -"},
    {"RANK=1 WORLD_SIZE=4 " MASTER, "torchrun 1/4 0/1 node0:29500 -"},
    {TORCH MASTER "TPC_TOKEN=s", "torchrun 1/4 1/2 node0:29500 s"},
    {TORCH MASTER "TPC_MASTER_ADDR=b TPC_MASTER_PORT=2",
     "torchrun 1/4 1/2 b:2 -"},
    {"RANK=0 WORLD_SIZE=1", "torchrun 0/1 0/1 - -"},
    {"RANK=1 WORLD_SIZE=4 LOCAL_RANK= " MASTER,
     "torchrun 1/4 0/1 node0:29500 -"},
    {TORCH MASTER "TORCHELASTIC_USE_AGENT_STORE=False "
                  "TORCHELASTIC_RUN_ID=none TORCHELASTIC_RESTART_COUNT=0",
     "torchrun 1/4 1/2 node0:29500 torchrun none 0"},
    {TORCH MASTER "TORCHELASTIC_USE_AGENT_STORE=True TORCHELASTIC_RUN_ID=none "
                  "TORCHELASTIC_RESTART_COUNT=0",
     "torchrun 1/4 1/2 node0:27592 torchrun none 0"},
    // Open MPI
    {MPI MASTER "PMIX_NAMESPACE=77",
     "Open MPI 1/4 1/4 node0:29500 Open MPI 77"},
    {MPI "PMIX_NAMESPACE=77", "Open MPI 1/4 1/4 127.0.0.1:21733 Open MPI 77"},
    {MPI "PMIX_NAMESPACE=78", "Open MPI 1/4 1/4 127.0.0.1:29944 Open MPI 78"},
    {MPI "OMPI_MCA_ess_base_jobid=77",
     "Open MPI 1/4 1/4 127.0.0.1:21733 Open MPI 77"},
    {MPI "TPC_MASTER_ADDR=a TPC_MASTER_PORT=1", "Open MPI 1/4 1/4 a:1 -"},
    // Slurm
    {SLURM, "Slurm 3/4 1/2 node003:27991 Slurm 7 2"},
    {SLURM MASTER, "Slurm 3/4 1/2 node0:29500 Slurm 7 2"},
    {STEP "SLURM_PROCID=2 SLURM_NTASKS=4 SLURM_NTASKS_PER_NODE=4 "
          "SLURM_STEP_NODELIST=a",
     "Slurm 2/4 1/4 127.0.0.1:27991 Slurm 7 2"},
    {STEP "SLURM_PROCID=9 SLURM_NTASKS=11 SLURM_STEP_TASKS_PER_NODE=4(x2),3 "
          "SLURM_NODEID=2 SLURM_STEP_NODELIST=a1,a2,b",
     "Slurm 9/11 1/3 a1:27991 Slurm 7 2"},
    {"SLURM_JOB_ID=7 SLURM_NTASKS=4", "none"},
    {"SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_PROCID=0 SLURM_LOCALID=0", "none"},
    {STEP "SLURM_PROCID=0 SLURM_NTASKS=1", "none"},
    {STEP "SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=1", "none"},
    // several that agree, and launchers that a step of Slurm started
    {TORCH MASTER MPI, "torchrun 1/4 1/2 node0:29500 -"},
    {SLURM "RANK=3 WORLD_SIZE=4 " MASTER, "torchrun 3/4 0/1 node0:29500 -"},
    {"SLURM_JOB_ID=7 SLURM_STEP_ID=2 SLURM_LOCALID=0 SLURM_PROCID=1 "
     "SLURM_NTASKS=2 SLURM_NTASKS_PER_NODE=1 RANK=5 WORLD_SIZE=8 " MASTER,
     "torchrun 5/8 0/1 node0:29500 -"},
};

static const Row bad[] = {
    // incomplete
    {"RANK=1", "expected WORLD_SIZE to be set too, found only RANK=1"},
    {"WORLD_SIZE=4", "expected RANK to be set too, found only WORLD_SIZE=4"},
    {"LOCAL_RANK=0", "expected RANK to be set too, found only LOCAL_RANK=0"},
    {"RANK=1 WORLD_SIZE=4 LOCAL_RANK=1", "expected LOCAL_WORLD_SIZE"},
    {TORCH, "expected MASTER_ADDR and MASTER_PORT to be set, found neither"},
    {TORCH "MASTER_ADDR=a", "expected MASTER_PORT to be set too, found only "
                            "MASTER_ADDR=a"},
    {TORCH "MASTER_PORT=1", "expected MASTER_ADDR to be set too"},
    {TORCH MASTER "TPC_MASTER_ADDR=a", "expected TPC_MASTER_PORT"},
    {"TPC_RANK=1 TPC_WORLD_SIZE=2", "expected TPC_LOCAL_RANK to be set too"},
    {TPC, "expected TPC_MASTER_ADDR and TPC_MASTER_PORT to be set"},
    {TPC MASTER, "expected TPC_MASTER_ADDR and TPC_MASTER_PORT to be set"},
    {"OMPI_COMM_WORLD_RANK=0", "expected OMPI_COMM_WORLD_SIZE to be set too"},
    {"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2",
     "expected OMPI_COMM_WORLD_LOCAL_RANK to be set too"},
    {MPI, "expected MASTER_ADDR and MASTER_PORT"},
    {"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=4 "
     "OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=2 "
     "PMIX_NAMESPACE=1",
     "4 processes, 2 of them on this host; expected MASTER_ADDR"},
    {"SLURM_PROCID=0", "expected SLURM_NTASKS to be set"},
    {"SLURM_PROCID=0 SLURM_NTASKS=2 SLURM_LOCALID=0",
     "expected SLURM_JOB_ID to be set too"},
    {STEP "SLURM_PROCID=0 SLURM_NTASKS=2", "expected SLURM_NTASKS_PER_NODE"},
    {STEP "SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_NTASKS_PER_NODE=2",
     "SLURM_STEP_NODELIST=: expected a list of hosts"},
    {STEP "SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_STEP_TASKS_PER_NODE=2,2",
     "expected SLURM_NODEID to be set"},
    // malformed
    {"RANK=4 WORLD_SIZE=4 " MASTER, "RANK=4 and WORLD_SIZE=4: expected a rank "
                                    "below"},
    {"RANK=0 WORLD_SIZE=0 " MASTER, "RANK=0 and WORLD_SIZE=0"},
    {"RANK=-1 WORLD_SIZE=4 " MASTER, "RANK=-1: expected a number"},
    {"RANK=one WORLD_SIZE=4 " MASTER, "RANK=one: expected a number"},
    {"RANK=1 WORLD_SIZE=4x " MASTER, "WORLD_SIZE=4x: expected a number"},
    {"RANK=1 WORLD_SIZE=99999999999 " MASTER, "WORLD_SIZE=99999999999: "},
    {"RANK=1 WORLD_SIZE=4 LOCAL_RANK=2 LOCAL_WORLD_SIZE=2 " MASTER,
     "LOCAL_RANK=2 and LOCAL_WORLD_SIZE=2: expected a rank below"},
    {TORCH "MASTER_ADDR=a MASTER_PORT=0", "MASTER_PORT=0: expected a port"},
    {TORCH "MASTER_ADDR=a MASTER_PORT=70000", "MASTER_PORT=70000: expected"},
    {TORCH "MASTER_ADDR=a MASTER_PORT=ssh", "MASTER_PORT=ssh: expected"},
    {TPC "TPC_MASTER_ADDR=a TPC_MASTER_PORT=-1", "TPC_MASTER_PORT=-1"},
    {"TPC_RANK=0 TPC_WORLD_SIZE=1 TPC_LOCAL_RANK=0 TPC_LOCAL_SIZE=1 "
     "TPC_LISTEN_FD=x",
     "TPC_LISTEN_FD=x: expected a number"},
    {STEP "SLURM_PROCID=9 SLURM_NTASKS=4 SLURM_NTASKS_PER_NODE=4",
     "SLURM_PROCID=9 and SLURM_NTASKS=4"},
    {STEP "SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_NTASKS_PER_NODE=1",
     "SLURM_LOCALID=1: expected a number below the 1 tasks"},
    {STEP "SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_STEP_TASKS_PER_NODE=2(x",
     "SLURM_STEP_TASKS_PER_NODE=2(x: expected a list"},
    // contradicting
    {TORCH MASTER "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=4 "
                  "OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=4",
     "torchrun says RANK=1 and WORLD_SIZE=4, but Open MPI says "
     "OMPI_COMM_WORLD_RANK=2 and OMPI_COMM_WORLD_SIZE=4"},
    {TPC "TPC_MASTER_ADDR=a TPC_MASTER_PORT=1 RANK=1 WORLD_SIZE=2",
     "tpc-launch says TPC_RANK=1 and TPC_WORLD_SIZE=4, but torchrun says"},
    {SLURM "RANK=1 WORLD_SIZE=4 " MASTER, "but Slurm says SLURM_PROCID=3"},
    {SLURM "RANK=1 WORLD_SIZE=2 " MASTER, "but Slurm says SLURM_PROCID=3"},
};

TEST(LaunchSettingsTest, Good) {
  for (const Row &row : good) {
    auto settings = Variables(row.environment).read();
    ASSERT_TRUE(settings) << row.environment << ": "
                          << settings.error().message;
    EXPECT_EQ(*settings ? describe(**settings) : "none", row.expected)
        << row.environment;
  }
}

TEST(LaunchSettingsTest, Bad) {
  for (const Row &row : bad) {
    auto settings = Variables(row.environment).read();
    ASSERT_FALSE(settings) << row.environment;
    EXPECT_SAYS(settings.error().message, row.expected);
  }
}

TEST(LaunchSettingsTest, HostLists) {
  const std::pair<const char *, const char *> rows[] = {
      {"node1", "node1"},
      {"node1,node2", "node1"},
      {"node[003-007,9]", "node003"},
      {"node[9]", "node9"},
      {"a[1-2]-b[08-10].net,c", "a1-b08.net"},
      {"a-b.c[2,4],d", "a-b.c2"},
      {"", ""},
      {",a", ""},
      {"node[", ""},
      {"node]", ""},
      {"node[]", ""},
      {"node[x]", ""},
      {"node[1-2", ""},
  };
  for (auto [list, host] : rows)
    EXPECT_EQ(firstSlurmHost(list).value_or(""), host) << list;
}

TEST(LaunchSettingsTest, TasksOfNodes) {
  EXPECT_EQ(slurmTasksOfNode("4", 0), 4u);
  EXPECT_EQ(slurmTasksOfNode("4(x2),3", 1), 4u);
  EXPECT_EQ(slurmTasksOfNode("4(x2),3", 2), 3u);
  EXPECT_EQ(slurmTasksOfNode("2(x4294967295),3", 7), 2u);
  for (const char *list : {"", "4", "4(x1)", "x", "4(x", "4(x2", "4,,", "(x2)"})
    EXPECT_FALSE(slurmTasksOfNode(list, 1)) << list;
}

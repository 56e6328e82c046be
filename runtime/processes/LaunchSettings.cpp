// What launchers leave in the environment. Who a process is comes from one
// launcher (the first of: tpc-launch, torchrun, Open MPI, Slurm); where rank 0
// listens from TPC_MASTER_*, else MASTER_*, else from what the launcher gives
// all processes of a job and no other. An empty variable counts as not set.
#include "processes/SlurmLists.h"
#include "support/Fail.h"
#include "support/ParseNumber.h"
#include "tpcrt/ProcessGroup.h"

#include <array>
#include <cstdlib>

using namespace tpcrt;

namespace {

/// The variables of one process, and what is wrong with them.
class Variables {
public:
  explicit Variables(const Environment &environment)
      : environment(environment) {}

  std::optional<std::string> text(const char *name) const {
    const char *value = environment(name);
    if (!value || !*value)
      return std::nullopt;
    return value;
  }
  bool has(const char *name) const { return text(name).has_value(); }
  /// "RANK=3"
  std::string shown(const char *name) const {
    return fmt::format("{}={}", name, text(name).value_or(""));
  }
  Result<uint32_t> number(const char *name) const {
    auto value = text(name);
    if (!value)
      return fail("expected {} to be set, found nothing", name);
    auto number = parseNumber<uint32_t>(*value);
    if (!number)
      return fail("{}: expected a number from 0 on", shown(name));
    return *number;
  }
  Result<uint16_t> port(const char *name) const {
    auto number = parseNumber<uint16_t>(text(name).value_or(""));
    if (!number || *number == 0)
      return fail("{}: expected a port from 1 to 65535", shown(name));
    return *number;
  }

private:
  const Environment &environment;
};

enum class Launcher { Tpc, Torch, OpenMpi, Slurm };

/// Which process this is, and the variables that say so.
struct Identity {
  Launcher launcher;
  const char *rankName, *sizeName;
  uint32_t rank = 0, size = 1, localRank = 0, localSize = 1;
};

} // namespace

static const char *nameOf(Launcher launcher) {
  constexpr std::array names = {"tpc-launch", "torchrun", "Open MPI", "Slurm"};
  return names[size_t(launcher)];
}

static Result<void> checkRank(const Variables &variables, const char *rankName,
                              uint32_t rank, const char *sizeName,
                              uint32_t size) {
  if (rank < size)
    return {};
  return fail("{} and {}: expected a rank below the number of processes",
              variables.shown(rankName), variables.shown(sizeName));
}

/// Nothing if none of the variables is set. `needsLocal`: whether the launcher
/// always says where on its host a process is; without that, it is taken to be
/// alone there.
static Result<std::optional<Identity>>
readIdentity(const Variables &variables, Launcher launcher,
             const std::array<const char *, 4> &names, bool needsLocal) {
  auto [rank, size, localRank, localSize] = names;
  bool hasLocal = variables.has(localRank) || variables.has(localSize);
  if (!variables.has(rank) && !variables.has(size) && !hasLocal)
    return std::nullopt;
  Identity identity{launcher, rank, size};
  for (const char *name : names) {
    bool local = name == localRank || name == localSize;
    if (variables.has(name) || (local && !hasLocal && !needsLocal))
      continue;
    std::vector<std::string> found;
    for (const char *other : names)
      if (variables.has(other))
        found.push_back(variables.shown(other));
    return fail("expected {} to be set too, found only {}; set all of {}, or "
                "none",
                name, fmt::join(found, ", "), fmt::join(names, ", "));
  }
  TPCRT_ASSIGN(identity.rank, variables.number(rank));
  TPCRT_ASSIGN(identity.size, variables.number(size));
  TPCRT_TRY(checkRank(variables, rank, identity.rank, size, identity.size));
  if (!hasLocal)
    return identity;
  TPCRT_ASSIGN(identity.localRank, variables.number(localRank));
  TPCRT_ASSIGN(identity.localSize, variables.number(localSize));
  TPCRT_TRY(checkRank(variables, localRank, identity.localRank, localSize,
                      identity.localSize));
  return identity;
}

/// The processes of this node.
static Result<uint32_t> slurmLocalSize(const Variables &variables) {
  constexpr const char *perNode = "SLURM_STEP_TASKS_PER_NODE";
  auto list = variables.text(perNode);
  if (!list)
    return variables.number("SLURM_NTASKS_PER_NODE");
  uint32_t node = 0;
  if (variables.has("SLURM_NODEID") || list->find(',') != std::string::npos) {
    TPCRT_ASSIGN(node, variables.number("SLURM_NODEID"));
  }
  auto tasks = slurmTasksOfNode(*list, node);
  if (!tasks)
    return fail("{}: expected a list such as '4(x2),3' with an entry for node "
                "{}",
                variables.shown(perNode), node);
  return *tasks;
}

/// A process of a job step with several. The shell of an allocation (salloc,
/// sbatch) has variables of Slurm too, but is no such process.
static Result<std::optional<Identity>> readSlurm(const Variables &variables) {
  bool isStep =
      variables.has("SLURM_STEP_ID") || variables.has("SLURM_STEP_NODELIST");
  bool isShell = variables.has("SLURM_JOB_ID") && !isStep;
  if (!variables.has("SLURM_PROCID") || isShell)
    return std::nullopt;
  // In the shell of `salloc`, SLURM_NTASKS is what its steps will have.
  const char *sizeName = variables.has("SLURM_STEP_NUM_TASKS")
                             ? "SLURM_STEP_NUM_TASKS"
                             : "SLURM_NTASKS";
  Identity identity{Launcher::Slurm, "SLURM_PROCID", sizeName};
  TPCRT_ASSIGN(identity.size, variables.number(sizeName));
  if (identity.size == 1)
    return std::nullopt;
  for (const char *name : {"SLURM_JOB_ID", "SLURM_LOCALID"})
    if (!variables.has(name))
      return fail("expected {} to be set too, found only {}, {}", name,
                  variables.shown("SLURM_PROCID"), variables.shown(sizeName));
  TPCRT_ASSIGN(identity.rank, variables.number("SLURM_PROCID"));
  TPCRT_TRY(checkRank(variables, "SLURM_PROCID", identity.rank, sizeName,
                      identity.size));
  TPCRT_ASSIGN(identity.localRank, variables.number("SLURM_LOCALID"));
  TPCRT_ASSIGN(identity.localSize, slurmLocalSize(variables));
  if (identity.localRank >= identity.localSize)
    return fail("{}: expected a number below the {} tasks of the node",
                variables.shown("SLURM_LOCALID"), identity.localSize);
  return identity;
}

/// Of the launcher that started this process, if one did.
static Result<std::optional<Identity>>
findIdentity(const Variables &variables) {
  TPCRT_ASSIGN(auto tpc, readIdentity(variables, Launcher::Tpc,
                                      {"TPC_RANK", "TPC_WORLD_SIZE",
                                       "TPC_LOCAL_RANK", "TPC_LOCAL_SIZE"},
                                      true));
  TPCRT_ASSIGN(auto torch, readIdentity(variables, Launcher::Torch,
                                        {"RANK", "WORLD_SIZE", "LOCAL_RANK",
                                         "LOCAL_WORLD_SIZE"},
                                        false));
  TPCRT_ASSIGN(
      auto mpi,
      readIdentity(variables, Launcher::OpenMpi,
                   {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                    "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
                   true));
  TPCRT_ASSIGN(auto slurm, readSlurm(variables));
  std::optional<Identity> found;
  for (const auto &next : {tpc, torch, mpi, slurm}) {
    if (!next)
      continue;
    if (!found) {
      found = next;
      continue;
    }
    // A step of Slurm may start launchers, which then start more processes.
    bool started =
        next->launcher == Launcher::Slurm && next->size < found->size;
    if (!started && (next->rank != found->rank || next->size != found->size))
      return fail("{} says {} and {}, but {} says {} and {}; unset those of "
                  "the launcher that did not start this process",
                  nameOf(found->launcher), variables.shown(found->rankName),
                  variables.shown(found->sizeName), nameOf(next->launcher),
                  variables.shown(next->rankName),
                  variables.shown(next->sizeName));
  }
  return found;
}

/// What all processes of a job have in common, and other jobs do not; empty if
/// the launcher tells nothing of the kind.
static std::string jobOf(const Variables &variables, Launcher launcher) {
  auto text = [&](const char *name) {
    return variables.text(name).value_or("");
  };
  switch (launcher) {
  case Launcher::Tpc:
    return "";
  case Launcher::Torch:
    if (!variables.has("TORCHELASTIC_RUN_ID"))
      return "";
    return fmt::format("torchrun {} {}", text("TORCHELASTIC_RUN_ID"),
                       text("TORCHELASTIC_RESTART_COUNT"));
  case Launcher::OpenMpi:
    for (const char *name : {"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"})
      if (variables.has(name))
        return "Open MPI " + text(name);
    return "";
  case Launcher::Slurm:
    return fmt::format("Slurm {} {}", text("SLURM_JOB_ID"),
                       text("SLURM_STEP_ID"));
  }
  return "";
}

/// Below the ports that the system gives to who asks for any.
static uint16_t portOf(std::string_view job) {
  uint64_t hash = 14695981039346656037u; // FNV-1a
  for (unsigned char c : job)
    hash = (hash ^ c) * 1099511628211u;
  return uint16_t(20000 + hash % 10000);
}

/// Sets address and port from two variables that belong together; whether they
/// are there.
static Result<bool> readAddress(const Variables &variables, const char *address,
                                const char *port, LaunchSettings &settings) {
  if (!variables.has(address) && !variables.has(port))
    return false;
  for (auto [set, missing] : {std::pair(address, port), {port, address}})
    if (!variables.has(missing))
      return fail("expected {} to be set too, found only {}", missing,
                  variables.shown(set));
  settings.address = *variables.text(address);
  TPCRT_ASSIGN(settings.port, variables.port(port));
  return true;
}

/// Where a launcher that gives no address has rank 0 listen.
static Result<void> deriveAddress(const Variables &variables, Launcher launcher,
                                  const std::string &job,
                                  LaunchSettings &settings) {
  bool oneHost = settings.localSize == settings.size;
  if (launcher == Launcher::Tpc)
    return fail("{} says {} processes; expected TPC_MASTER_ADDR and "
                "TPC_MASTER_PORT to be set, found neither",
                settings.launcher, settings.size);
  if (launcher == Launcher::Torch || job.empty() ||
      (launcher == Launcher::OpenMpi && !oneHost))
    return fail("{} says {} processes, {} of them on this host; expected "
                "MASTER_ADDR and MASTER_PORT to be set, found neither; set "
                "them to the host of rank 0 and a free port there",
                settings.launcher, settings.size, settings.localSize);
  settings.port = portOf(job);
  settings.address = "127.0.0.1";
  if (oneHost)
    return {};
  auto host =
      firstSlurmHost(variables.text("SLURM_STEP_NODELIST").value_or(""));
  if (!host)
    return fail("{}: expected a list of hosts such as 'node[01-04]'; or set "
                "MASTER_ADDR and MASTER_PORT",
                variables.shown("SLURM_STEP_NODELIST"));
  settings.address = *host;
  return {};
}

Result<std::optional<LaunchSettings>>
tpcrt::readLaunchSettings(const Environment &environment) {
  Variables variables(environment);
  TPCRT_ASSIGN(auto identity, findIdentity(variables));
  if (!identity)
    return std::nullopt;
  Launcher launcher = identity->launcher;
  LaunchSettings settings;
  settings.rank = identity->rank;
  settings.size = identity->size;
  settings.localRank = identity->localRank;
  settings.localSize = identity->localSize;
  settings.launcher = nameOf(launcher);
  std::string job = jobOf(variables, launcher);
  settings.token = variables.text("TPC_TOKEN").value_or(job);

  TPCRT_ASSIGN(bool given, readAddress(variables, "TPC_MASTER_ADDR",
                                       "TPC_MASTER_PORT", settings));
  if (!given && launcher != Launcher::Tpc) {
    TPCRT_ASSIGN(
        given, readAddress(variables, "MASTER_ADDR", "MASTER_PORT", settings));
    // There, torchrun's own store listens.
    if (given && variables.text("TORCHELASTIC_USE_AGENT_STORE") == "True")
      settings.port = portOf(fmt::format("{} {}", job, settings.port));
  }
  if (!given && settings.size > 1)
    TPCRT_TRY(deriveAddress(variables, launcher, job, settings));
  if (launcher == Launcher::Tpc && settings.rank == 0 &&
      variables.has("TPC_LISTEN_FD")) {
    TPCRT_ASSIGN(uint32_t descriptor, variables.number("TPC_LISTEN_FD"));
    settings.listener = int(descriptor);
  }
  return settings;
}

Result<std::optional<LaunchSettings>> tpcrt::readLaunchSettings() {
  return readLaunchSettings(
      [](const char *name) -> const char * { return std::getenv(name); });
}

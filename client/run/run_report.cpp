#include "client/run/run_report.hpp"

#include "common/base/log.hpp"
#include "common/base/text.hpp"

#include <vector>

namespace frsh {
namespace {

void report_names(const std::vector<ProcessName>& processes, std::string line) {
    if (processes.empty()) return;
    for (const ProcessName& process : processes) {
        if (&process != &processes.front()) line += ", ";
        line += escape_controls(process.name) + " (" + std::to_string(process.pid) + ")";
    }
    log::error(line);
}

}  // namespace

void report_processes(const RemoteRun& run, const std::string& where) {
    if (!run.end()) return;
    if (const auto& usage = run.end()->usage; usage && usage->oom_kills) {
        log::error(where + "for want of memory the kernel killed " +
                   std::to_string(*usage->oom_kills) +
                   (*usage->oom_kills == 1 ? " process" : " processes") + " meanwhile");
    }
    report_names(run.end()->holders, where + "output still held open by ");
    report_names(run.end()->survivors, where + "could not be ended: ");
    if (run.end()->is_unseen) {
        log::error(where + "the server cannot see every process (/proc): some may live on");
    }
}

}  // namespace frsh

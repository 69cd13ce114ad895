#include "control/explain_options.h"

#include "base/try.h"

namespace eidolon::control {

void ExplainOptions::describe(CLI::App& app) {
  explain_ = app.add_subcommand("explain", "Print a block of guest code beside its translation");
  CLI::App& explain = *explain_;
  describe_machine(explain, machine_)->required();
  explain
      .add_option("--at", at_, "linear address in the guest: 0x..., or with --symbols a name, or name+0x..")
      ->type_name("ADDRESS")
      ->required();
  explain.add_option("--symbols", symbols_, "the kernel's System.map")->type_name("FILE");
  explain.add_option("--after", after_, "go on until the guest has written this to its serial port")
      ->type_name("TEXT");
  explain.add_option("--timeout", timeout_, "give up after so many seconds")
      ->type_name("SECONDS")
      ->check(CLI::Range(1u, 86400u))
      ->capture_default_str();
  explain.footer(
      R"(Boots the guest until code at the address is translated, and prints the block: the guest's instructions beside
the host code made of them, which registers and flags are put aside, and where the code may leave.

If it never is: the guest may not come there in that time; a Linux that unpacks itself moves about (say nokaslr in --append); or the
code runs in a mode that is stepped, such as 16-bit code. A function that is inlined has no address of its own.

Exit status: 0 if the block was printed, 1 if the address was never translated, 2 if the command line or a file is
wrong.

Examples:
  eidolon explain --kernel vmlinuz --append console=ttyS0 --symbols System.map --at schedule
  eidolon explain --kernel vmlinuz --initrd initrd.gz --append console=ttyS0 --at 0x401000 --after "login:")");
}

Result<ExplainRequest> ExplainOptions::read() const {
  ExplainRequest request;
  request.machine = EIDOLON_TRY(read_machine(machine_));
  request.at = at_;
  if (!symbols_.empty()) request.symbols = symbols_;
  request.after = after_;
  request.timeout_seconds = timeout_;
  return request;
}

}  // namespace eidolon::control

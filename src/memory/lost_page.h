// Pages of a file that guest memory is mapped from, and that the host cannot supply any more: somebody has
// made the file shorter, or its disk is full or broken. Whoever touches one gets SIGBUS, wherever that is,
// and the process ends, as it must: nobody knows what the guest would find there.
#pragma once

namespace eidolon::memory {

/// Has the process say so before it ends. Once is enough for all files. Signals of other kinds go to whoever
/// was there before, as this one does afterwards.
void explain_lost_pages();

}  // namespace eidolon::memory

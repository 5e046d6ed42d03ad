// What the process allows: threads after a fork, thread limits.
#pragma once

namespace imkernels {

/// Registers the fork handler; called once when the module is loaded.
void watch_forks();

/// True in every child of a fork and in its children. The OpenMP runtime waits for ever in such a process if
/// anybody used it before the fork (the copy may be shared with other libraries), so it is not entered there.
bool forked();

/// Whether a team of `threads` can run. The OpenMP runtime ends the process when it cannot create a thread.
/// So where a team is larger than the calling thread's last, as many threads of the same kind are created and
/// joined here first.
bool team_available(int threads);

}  // namespace imkernels

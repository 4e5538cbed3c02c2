#pragma once
#include <functional>

namespace atb {

/// Runs `work` on a thread that the system lets wait for all others, and returns when it is done. Throws what `work`
/// throws, and NATIVE_THREADS_FAILED when the system gives no thread.
void RunPatiently(const std::function<void()>& work);

}  // namespace atb

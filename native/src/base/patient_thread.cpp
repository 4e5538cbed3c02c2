#include "base/patient_thread.h"

#ifdef __linux__
#include <sys/resource.h>
#endif

#include <exception>
#include <string>
#include <system_error>
#include <thread>

#include "base/error.h"

namespace atb {

void RunPatiently(const std::function<void()>& work) {
  std::exception_ptr failure;
  const auto body = [&] {
#ifdef __linux__
    // Linux counts this for each thread, 0 being the calling one. Whoever may not is as patient as others.
    constexpr int kMostPatient = 19;
    static_cast<void>(setpriority(PRIO_PROCESS, 0, kMostPatient));
#endif
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  };
  try {
    std::thread(body).join();
  } catch (const std::system_error& error) {
    throw Error("NATIVE_THREADS_FAILED", std::string("the system gives no more threads: ") + error.what());
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace atb

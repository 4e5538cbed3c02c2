#pragma once
#include <napi.h>

#include <atomic>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "addon/grammars.h"
#include "addon/guard.h"
#include "addon/mailbox.h"
#include "engine/engine_thread.h"

namespace atb::addon {

/// The class `Engine` of src/native/binding.ts. Arguments are read and copied here, on JavaScript's thread; the work is
/// posted to the engine's thread, whose results come back through the mailbox.
class EngineWrap : public Napi::ObjectWrap<EngineWrap> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit EngineWrap(const Napi::CallbackInfo& info);
  ~EngineWrap() override;

  /// The class has its own so that a JavaScript constructor which finds no memory throws an Error with a code, too.
  static void* operator new(size_t bytes);
  static void operator delete(void* memory) { ::operator delete(memory); }

 private:
  using Info = Napi::CallbackInfo;
  /// For each graph or sampler that exists, the task that removes it: made with it, so that removing takes no memory.
  using Removals = std::map<int, EngineThread::Tasks>;

  /// What the bell holds instead of the wrap itself, because it may ring once more after the wrap is gone.
  struct Channel {
    EngineWrap* owner;
  };

  /// A promise that is not settled yet.
  struct Pending {
    napi_deferred deferred = nullptr;
    Napi::FunctionReference progress;
    std::shared_ptr<std::atomic<bool>> cancelled;  ///< Null unless the call loads weights.
    std::optional<Napi::Error> thrown;             ///< What the progress callback threw: the promise rejects with it.
  };

  /// What the latest load made. The engine's thread sets it, and JavaScript's thread asks for it.
  class LatestLoad {
   public:
    explicit LatestLoad(std::shared_ptr<EngineShared> shared) : shared_(std::move(shared)) {}
    void Set(std::vector<LoadedWeight> weights) {
      const std::lock_guard lock(mutex_);
      if (!closed_) weights_ = std::move(weights);
    }
    std::vector<LoadedWeight> Get() {
      const std::lock_guard lock(mutex_);
      return weights_;
    }
    /// Keeps nothing any more.
    void Close() noexcept {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      weights_.clear();
    }

   private:
    std::shared_ptr<EngineShared> shared_;  ///< Declared first: the buffers of the weights count themselves in it.
    std::mutex mutex_;
    std::vector<LoadedWeight> weights_;
    bool closed_ = false;
  };

  // Methods and accessors of the class.
  Napi::Value Isa(const Info& info);
  Napi::Value Threads(const Info& info);
  Napi::Value LoadWeights(const Info& info);
  Napi::Value WritePacked(const Info& info);
  Napi::Value SetTensor(const Info& info);
  Napi::Value ExportTensor(const Info& info);
  Napi::Value AllocateKvCache(const Info& info);
  Napi::Value CopyBlocks(const Info& info);
  Napi::Value LoadGraph(const Info& info);
  Napi::Value UnloadGraph(const Info& info);
  Napi::Value Reserve(const Info& info);
  Napi::Value GraphStats(const Info& info);
  Napi::Value SetVocabulary(const Info& info);
  Napi::Value CompileGrammar(const Info& info);
  Napi::Value GrammarAllows(const Info& info);
  Napi::Value FreeGrammar(const Info& info);
  Napi::Value CreateSampler(const Info& info);
  Napi::Value AppendTokens(const Info& info);
  Napi::Value RetractTokens(const Info& info);
  Napi::Value FreeSampler(const Info& info);
  Napi::Value Run(const Info& info);
  Napi::Value Forward(const Info& info);
  Napi::Value MeasureLimits(const Info& info);
  Napi::Value Memory(const Info& info);
  Napi::Value Dispose(const Info& info);

  /// The way of every method: `read` takes the arguments, `act` does the work with what it returned. Throws
  /// NATIVE_DISPOSED when the engine was disposed, before or while the arguments were read.
  template <typename Read, typename Act>
  Napi::Value WhileAlive(Read&& read, Act&& act) const;
  /// WhileAlive for a method that throws what fails.
  template <typename Read, typename Act>
  Napi::Value Call(const Info& info, Read&& read, Act&& act) const;
  /// WhileAlive for a method that returns a promise, which rejects with what fails.
  template <typename Read, typename Act>
  Napi::Value CallAsync(const Info& info, Read&& read, Act&& act) const;

  Napi::Value TellSampler(const Info& info, void (Engine::*act)(int, std::span<const int32_t>));
  /// The id of a graph or a sampler that exists. Throws NATIVE_GRAPH_UNKNOWN, NATIVE_SAMPLER_UNKNOWN.
  int ReadGraphId(const Napi::Value& value) const;
  int ReadSamplerId(const Napi::Value& value) const;
  /// An id that none has. After 2^31 - 1 they begin again at 1, so that an engine may live longer.
  int NewId(const Removals& removals);
  /// Posts what makes the graph or the sampler `id`, and keeps what removes it. Returns the id.
  Napi::Value Create(Napi::Env env, Removals& removals, int id, EngineThread::Task create, EngineThread::Task remove);
  void Remove(Removals& removals, int id) noexcept;
  /// Runs `task` on the engine's thread; a failure there makes every later call fail.
  void Post(EngineThread::Task task);
  /// Runs `task` on the engine's thread and settles a promise with what it returns.
  template <typename Task>
  Napi::Value Submit(Napi::Env env, Task task, Napi::Function progress = {});

  void OpenBell(Napi::Env env);
  static void OnBell(napi_env env, napi_value callback, void* context, void* data);
  static void OnExit(void* self);
  void Deliver(Napi::Env env);
  void Report(Napi::Env env, uint64_t call, uint64_t now, uint64_t total);
  void Settle(Napi::Env env, Completion& completion);
  void Close(Napi::Env env);

  std::string isa_;
  int threads_ = 0;
  std::shared_ptr<Mailbox> mailbox_;
  std::shared_ptr<std::exception_ptr> broken_;  ///< What the first posted task that failed threw; null before.
  std::unique_ptr<EngineThread> thread_;
  napi_threadsafe_function bell_ = nullptr;
  Channel* channel_ = nullptr;
  bool disposed_ = false;
  uint64_t next_call_ = 0;
  std::unordered_map<uint64_t, Pending> pending_;
  int latest_id_ = 0;
  Removals graphs_;
  Removals samplers_;
  std::shared_ptr<Grammars> grammars_;
  std::shared_ptr<LatestLoad> latest_;
  std::shared_ptr<std::atomic<bool>> ended_;  ///< JavaScript ends: what is written in the background gives up.
};

/// Both checks are needed: an argument is read by asking JavaScript's objects, whose getters may dispose the engine.
template <typename Read, typename Act>
Napi::Value EngineWrap::WhileAlive(Read&& read, Act&& act) const {
  const auto check = [this] {
    if (disposed_) throw Error("NATIVE_DISPOSED", "the engine was disposed");
  };
  check();
  auto arguments = read();
  check();
  return act(std::move(arguments));
}

template <typename Read, typename Act>
Napi::Value EngineWrap::Call(const Info& info, Read&& read, Act&& act) const {
  return Guard(info.Env(), [&] { return WhileAlive(read, act); });
}

template <typename Read, typename Act>
Napi::Value EngineWrap::CallAsync(const Info& info, Read&& read, Act&& act) const {
  return GuardPromise(info.Env(), [&] { return WhileAlive(read, act); });
}

}  // namespace atb::addon

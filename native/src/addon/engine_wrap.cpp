#include "addon/engine_wrap.h"

#include <exception>
#include <future>
#include <limits>

#include "addon/background.h"
#include "addon/guard.h"
#include "addon/requests.h"
#include "addon/values.h"
#include "base/align.h"
#include "base/patient_thread.h"

namespace atb::addon {
namespace {

/// The reader of methods without arguments.
std::monostate NoArguments() { return {}; }

/// The environment of this thread. `new` needs it and cannot be given it.
thread_local napi_env thread_env = nullptr;

int ReadId(const std::map<int, EngineThread::Tasks>& ids, const Napi::Value& value, const char* what,
           const char* code) {
  const auto id = static_cast<int>(ReadInteger(value, what, 0, std::numeric_limits<int>::max()));
  if (!ids.contains(id)) throw Error(code, "there is no " + std::string(what) + " " + std::to_string(id));
  return id;
}

}  // namespace

Napi::Function EngineWrap::Define(Napi::Env env) {
  thread_env = env;
  return DefineClass(env, "Engine",
                     {
                         InstanceAccessor<&EngineWrap::Isa>("isa", napi_enumerable),
                         InstanceAccessor<&EngineWrap::Threads>("threads", napi_enumerable),
                         InstanceMethod<&EngineWrap::LoadWeights>("loadWeights"),
                         InstanceMethod<&EngineWrap::WritePacked>("writePacked"),
                         InstanceMethod<&EngineWrap::SetTensor>("setTensor"),
                         InstanceMethod<&EngineWrap::ExportTensor>("exportTensor"),
                         InstanceMethod<&EngineWrap::AllocateKvCache>("allocateKvCache"),
                         InstanceMethod<&EngineWrap::CopyBlocks>("copyBlocks"),
                         InstanceMethod<&EngineWrap::LoadGraph>("loadGraph"),
                         InstanceMethod<&EngineWrap::UnloadGraph>("unloadGraph"),
                         InstanceMethod<&EngineWrap::Reserve>("reserve"),
                         InstanceMethod<&EngineWrap::GraphStats>("graphStats"),
                         InstanceMethod<&EngineWrap::SetVocabulary>("setVocabulary"),
                         InstanceMethod<&EngineWrap::CompileGrammar>("compileGrammar"),
                         InstanceMethod<&EngineWrap::GrammarAllows>("grammarAllows"),
                         InstanceMethod<&EngineWrap::FreeGrammar>("freeGrammar"),
                         InstanceMethod<&EngineWrap::CreateSampler>("createSampler"),
                         InstanceMethod<&EngineWrap::AppendTokens>("appendTokens"),
                         InstanceMethod<&EngineWrap::RetractTokens>("retractTokens"),
                         InstanceMethod<&EngineWrap::FreeSampler>("freeSampler"),
                         InstanceMethod<&EngineWrap::Run>("run"),
                         InstanceMethod<&EngineWrap::Forward>("forward"),
                         InstanceMethod<&EngineWrap::MeasureLimits>("measureLimits"),
                         InstanceMethod<&EngineWrap::Memory>("memory"),
                         InstanceMethod<&EngineWrap::Dispose>("dispose"),
                     });
}

void* EngineWrap::operator new(size_t bytes) {
  try {
    return ::operator new(bytes);
  } catch (...) {
    throw Napi::Error(thread_env, MakeError(thread_env, std::current_exception()));
  }
}

EngineWrap::EngineWrap(const Info& info) : Napi::ObjectWrap<EngineWrap>(info) {
  const Napi::Env env = info.Env();
  Guard(env, [&] {
    const Where where("options");
    const Napi::Object options = ReadObject(info[0], where);
    const Napi::Value threads = options.Get("threads");
    threads_ = static_cast<int>(ReadInteger(threads, Where(where, "threads"), 1, ThreadPool::kMaxThreads));
    const Napi::Value isa = options.Get("isa");
    grammars_ = std::make_shared<Grammars>();
    mailbox_ = std::make_shared<Mailbox>();
    broken_ = std::make_shared<std::exception_ptr>();
    thread_ = std::make_unique<EngineThread>(threads_, isa.IsUndefined() ? "" : ReadString(isa, Where(where, "isa")),
                                             [mailbox = mailbox_] { mailbox->Finish(); });
    isa_ = thread_->engine().isa();
    latest_ = std::make_shared<LatestLoad>(thread_->shared());
    ended_ = std::make_shared<std::atomic<bool>>(false);
    OpenBell(env);
    return env.Undefined();
  });
}

/// Runs when the object is collected, which cannot happen while a promise is pending, or after OnExit as JavaScript
/// ends.
EngineWrap::~EngineWrap() { Close(Env()); }

Napi::Value EngineWrap::Isa(const Info& info) { return Napi::String::New(info.Env(), isa_); }

Napi::Value EngineWrap::Threads(const Info& info) { return Napi::Number::New(info.Env(), threads_); }

Napi::Value EngineWrap::LoadWeights(const Info& info) {
  struct Arguments {
    std::vector<WeightLoad> loads;
    Napi::Function progress;
    std::optional<PackedFile> packed;
  };
  const auto read = [&] {
    Arguments arguments{ReadWeightLoads(info[0]), {}, {}};
    if (!info[2].IsUndefined()) arguments.packed = ReadPackedFileName(info[2]);
    if (info[1].IsFunction()) {
      arguments.progress = info[1].As<Napi::Function>();
    } else if (!info[1].IsUndefined()) {
      FailArgument("onProgress", "a function", info[1]);
    }
    return arguments;
  };
  return CallAsync(info, read, [&](Arguments arguments) {
    auto loads = std::make_shared<const std::vector<WeightLoad>>(std::move(arguments.loads));
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    const bool reports = !arguments.progress.IsEmpty();
    const uint64_t call = next_call_;
    auto task = [loads, packed = std::move(arguments.packed), cancelled, reports, call, mailbox = mailbox_,
                 latest = latest_](Engine& engine) {
      std::function<void(uint64_t, uint64_t)> report;
      if (reports) report = [&](uint64_t now, uint64_t total) { mailbox->Progress(call, now, total); };
      latest->Set(engine.Load(*loads, packed ? &*packed : nullptr, report, *cancelled));
      return std::monostate();
    };
    const Napi::Value promise = Submit(info.Env(), std::move(task), arguments.progress);
    pending_.at(call).cancelled = std::move(cancelled);
    return promise;
  });
}

Napi::Value EngineWrap::WritePacked(const Info& info) {
  return CallAsync(
      info, [&] { return ReadPackedFileName(info[0]); },
      [&](PackedFile file) {
        return Background::Start(
            info.Env(),
            [file = std::move(file), load = latest_->Get(), shared = thread_->shared(), ended = ended_] {
              RunPatiently([&] { WritePackedFile(file, load, *ended); });
            },
            [](Napi::Env env) { return env.Undefined(); });
      });
}

Napi::Value EngineWrap::SetTensor(const Info& info) {
  struct Arguments {
    std::string name;
    JsTensor tensor;
  };
  const auto read = [&] { return Arguments{ReadString(info[0], "name"), ReadTensor(info[1], "tensor")}; };
  return Call(info, read, [&](const Arguments& arguments) {
    const TensorDesc& desc = arguments.tensor.desc;
    auto stored = std::make_shared<StoredTensor>();
    // At least one cache line, so that a tensor without elements has an address.
    stored->bytes = Buffer(std::max(desc.Bytes(), kAlignment), &thread_->shared()->weights);
    stored->tensor = {desc, stored->bytes.data()};
    CopyValues(arguments.tensor, stored->tensor.data, "tensor");
    Post([name = arguments.name, stored](Engine& engine) { engine.Put(name, OwnedTensor(stored)); });
    return info.Env().Undefined();
  });
}

/// Waits for the tasks before it. That cannot block for ever: the engine's thread never waits for JavaScript.
Napi::Value EngineWrap::ExportTensor(const Info& info) {
  const auto read = [&] { return ReadString(info[0], "name"); };
  return Call(info, read, [&](const std::string& name) {
    std::promise<TensorBundle> exported;
    thread_->Post([&](Engine& engine) {
      try {
        if (*broken_) std::rethrow_exception(*broken_);
        exported.set_value(engine.Export(name));
      } catch (...) {
        exported.set_exception(std::current_exception());
      }
    });
    const TensorBundle tensor = exported.get_future().get();
    return MakeTensor(info.Env(), tensor[0]);
  });
}

Napi::Value EngineWrap::AllocateKvCache(const Info& info) {
  const auto read = [&] { return ReadKvCacheOptions(info[0]); };
  return Call(info, read, [&](KvCacheOptions options) {
    // The system provides pages when they are first written, so this takes no time whatever the size.
    auto cache = std::make_shared<const KvCache>(std::move(options), &thread_->shared()->caches);
    const auto bytes = static_cast<double>(cache->bytes());
    Post([cache = std::move(cache)](Engine& engine) { engine.PutCache(cache); });
    return Napi::Number::New(info.Env(), bytes);
  });
}

Napi::Value EngineWrap::CopyBlocks(const Info& info) {
  const auto read = [&] { return ReadInt32s(info[0], "pairs"); };
  return CallAsync(info, read, [&](std::vector<int32_t> pairs) {
    return Submit(info.Env(), [pairs = std::move(pairs)](Engine& engine) {
      engine.CopyBlocks(pairs);
      return std::monostate();
    });
  });
}

Napi::Value EngineWrap::MeasureLimits(const Info& info) {
  return CallAsync(info, NoArguments,
                   [&](std::monostate) { return Submit(info.Env(), [](Engine& engine) { return engine.Limits(); }); });
}

Napi::Value EngineWrap::Memory(const Info& info) {
  return Call(info, NoArguments, [&](std::monostate) {
    const EngineShared& shared = *thread_->shared();
    Napi::Object object = Napi::Object::New(info.Env());
    const auto set = [&](const char* key, const std::atomic<int64_t>& bytes) {
      object.Set(key, Napi::Number::New(info.Env(), static_cast<double>(bytes.load())));
    };
    set("weightBytes", shared.weights);
    set("cacheBytes", shared.caches);
    set("arenaBytes", shared.arenas);
    return object;
  });
}

Napi::Value EngineWrap::Dispose(const Info& info) {
  if (disposed_) return info.Env().Undefined();
  disposed_ = true;
  grammars_->Clear();
  latest_->Close();
  for (auto& [call, pending] : pending_)
    if (pending.cancelled) *pending.cancelled = true;
  thread_->Finish();
  return info.Env().Undefined();
}

int EngineWrap::ReadGraphId(const Napi::Value& value) const {
  return ReadId(graphs_, value, "graph", "NATIVE_GRAPH_UNKNOWN");
}

int EngineWrap::ReadSamplerId(const Napi::Value& value) const {
  return ReadId(samplers_, value, "sampler", "NATIVE_SAMPLER_UNKNOWN");
}

int EngineWrap::NewId(const Removals& removals) {
  do {
    latest_id_ = latest_id_ == std::numeric_limits<int>::max() ? 1 : latest_id_ + 1;
  } while (removals.contains(latest_id_));
  return latest_id_;
}

Napi::Value EngineWrap::Create(Napi::Env env, Removals& removals, int id, EngineThread::Task create,
                               EngineThread::Task remove) {
  try {
    removals[id].push_back(std::move(remove));
    Post(std::move(create));
  } catch (...) {
    removals.erase(id);
    throw;
  }
  return Napi::Number::New(env, id);
}

void EngineWrap::Remove(Removals& removals, int id) noexcept {
  const auto found = removals.find(id);
  thread_->Post(found->second);
  removals.erase(found);
}

void EngineWrap::Post(EngineThread::Task task) {
  thread_->Post([task = std::move(task), broken = broken_](Engine& engine) {
    try {
      task(engine);
    } catch (...) {
      if (!*broken) *broken = std::current_exception();
    }
  });
}

template <typename Task>
Napi::Value EngineWrap::Submit(Napi::Env env, Task task, Napi::Function progress) {
  const uint64_t call = next_call_;
  // What answers the call is made before the task is posted: once it runs, nothing may be missing to say how it ended.
  auto answer = std::make_shared<std::list<Completion>>();
  answer->push_back({call, {}});
  EngineThread::Task posted = [task = std::move(task), answer, broken = broken_, mailbox = mailbox_](Engine& engine) {
    Completion& completion = answer->front();
    try {
      if (*broken) std::rethrow_exception(*broken);
      completion.result = task(engine);
    } catch (...) {
      completion.result = std::current_exception();
    }
    mailbox->Complete(*answer);
  };
  Pending& pending = pending_[call];
  napi_value promise;
  try {
    if (!progress.IsEmpty()) pending.progress = Napi::Persistent(progress);
    if (napi_create_promise(env, &pending.deferred, &promise) != napi_ok) throw Napi::Error::New(env);
    thread_->Post(std::move(posted));
  } catch (...) {
    // Nobody has seen the promise; settling it frees what it holds.
    if (pending.deferred != nullptr) napi_resolve_deferred(env, pending.deferred, env.Undefined());
    pending_.erase(call);
    throw;
  }
  ++next_call_;
  if (pending_.size() == 1) {
    // As long as a promise is pending, the process must not end and this object must not be collected.
    napi_ref_threadsafe_function(env, bell_);
    Ref();
  }
  return Napi::Value(env, promise);
}

void EngineWrap::OpenBell(Napi::Env env) {
  auto channel = std::make_unique<Channel>(Channel{this});
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<Channel*>(data); };
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "atb-models engine"), 0, 1,
                                      channel.get(), finalize, channel.get(), OnBell, &bell_);
  if (status != napi_ok) throw Napi::Error::New(env);
  channel_ = channel.release();
  napi_unref_threadsafe_function(env, bell_);
  mailbox_->SetBell(bell_);
  // Hooks run in the opposite order of their registration. So OnExit ends the engine's thread before the hook of the
  // bell destroys the bell, which that thread could ring.
  napi_add_env_cleanup_hook(env, OnExit, this);
}

/// JavaScript ends (process.exit, worker.terminate) while the engine lives. Its threads must end before the library is
/// unloaded.
void EngineWrap::OnExit(void* self) {
  auto* wrap = static_cast<EngineWrap*>(self);
  for (auto& [call, pending] : wrap->pending_)
    if (pending.cancelled) *pending.cancelled = true;
  wrap->disposed_ = true;
  *wrap->ended_ = true;
  wrap->thread_.reset();
  // From here on the bell belongs to its own hook, which destroys it.
  wrap->channel_->owner = nullptr;
  wrap->channel_ = nullptr;
  wrap->bell_ = nullptr;
}

void EngineWrap::OnBell(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;
  EngineWrap* wrap = static_cast<Channel*>(context)->owner;
  if (wrap == nullptr) return;
  try {
    const Napi::HandleScope scope(env);
    wrap->Deliver(env);
  } catch (...) {
    // JavaScript is being terminated: values can no longer be made, nor promises settled.
  }
}

void EngineWrap::Deliver(Napi::Env env) {
  // Settling the last promise lets go of this object; the handle keeps it alive to the end of this function.
  const Napi::Object self = Value();
  Mailbox::Content content = mailbox_->Take();
  for (const auto& [call, bytes] : content.progress) Report(env, call, bytes.first, bytes.second);
  for (Completion& completion : content.completions) {
    const Napi::HandleScope scope(env);
    Settle(env, completion);
  }
  if (content.finished) Close(env);
}

void EngineWrap::Report(Napi::Env env, uint64_t call, uint64_t now, uint64_t total) {
  const auto found = pending_.find(call);
  if (found == pending_.end()) return;
  Pending& pending = found->second;  // Entries do not move, even if the callback makes calls that add others.
  if (pending.thrown) return;
  const auto number = [&](uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); };
  try {
    pending.progress.Call({number(now), number(total)});
  } catch (const Napi::Error& error) {
    *pending.cancelled = true;
    pending.thrown = error;
  }
}

void EngineWrap::Settle(Napi::Env env, Completion& completion) {
  const auto found = pending_.find(completion.call);
  if (found == pending_.end()) return;
  Pending pending = std::move(found->second);
  pending_.erase(found);
  if (pending_.empty()) {
    napi_unref_threadsafe_function(env, bell_);
    Unref();
  }
  napi_value value = nullptr;
  bool failed = false;
  try {
    if (pending.thrown) {
      failed = true;
      value = pending.thrown->Value();
    } else if (const auto* failure = std::get_if<std::exception_ptr>(&completion.result)) {
      failed = true;
      value = MakeError(env, *failure);
    } else if (const auto* step = std::get_if<StepResult>(&completion.result)) {
      value = MakeStepResult(env, *step);
    } else if (const auto* forward = std::get_if<ForwardResult>(&completion.result)) {
      value = MakeForwardResult(env, *forward);
    } else if (const auto* limits = std::get_if<MachineLimits>(&completion.result)) {
      value = MakeLimits(env, *limits);
    } else {
      value = env.Undefined();
    }
  } catch (const Napi::Error& error) {
    failed = true;
    value = error.Value();
  } catch (...) {
    failed = true;
    value = MakeError(env, std::current_exception());
  }
  if (failed) {
    napi_reject_deferred(env, pending.deferred, value);
  } else {
    napi_resolve_deferred(env, pending.deferred, value);
  }
}

void EngineWrap::Close(Napi::Env env) {
  thread_.reset();
  if (bell_ == nullptr) return;
  channel_->owner = nullptr;
  channel_ = nullptr;
  napi_remove_env_cleanup_hook(env, OnExit, this);
  napi_release_threadsafe_function(bell_, napi_tsfn_release);
  bell_ = nullptr;
}

}  // namespace atb::addon

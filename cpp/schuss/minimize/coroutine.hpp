// A coroutine that gives one result, and that others may await.
//
// Whoever is suspended deepest waits for an evaluation; it leaves its handle where the caller of the whole finds it
// and is resumed there directly. A coroutine that ends resumes the one that awaits it.
#pragma once

#include <coroutine>
#include <utility>

namespace schuss::minimize {

template <class Result>
class [[nodiscard]] Task {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  struct Finish {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(Handle ended) const noexcept { return ended.promise().awaiting; }
    void await_resume() const noexcept {}
  };

  struct promise_type {
    Result result{};
    std::coroutine_handle<> awaiting = std::noop_coroutine();

    Task get_return_object() { return Task(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    Finish final_suspend() const noexcept { return {}; }
    void return_value(const Result& value) { result = value; }
    [[noreturn]] void unhandled_exception() { throw; }  // to whoever resumed
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  Handle handle() const { return handle_; }
  const Result& result() const { return handle_.promise().result; }

  // co_await: begins this coroutine, and comes back with its result.
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
    handle_.promise().awaiting = awaiting;
    return handle_;
  }
  Result await_resume() const { return result(); }

 private:
  explicit Task(Handle handle) : handle_(handle) {}

  Handle handle_ = nullptr;
};

}  // namespace schuss::minimize

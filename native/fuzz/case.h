#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "bytes.h"
#include "engine/engine.h"

namespace atb::fuzz {

/// What an input of a graph holds. Integers are drawn from [low, high], or are `exact` where these are given.
struct Filling {
  int64_t low = 0;
  int64_t high = 7;
  std::vector<int64_t> exact = {};
};

/// A graph that is being made, with the tensors it is given.
class Case {
 public:
  explicit Case(Bytes& drawn) : bytes(drawn) { request.spec.name = "fuzz"; }

  /// A new input of the graph. Returns its name.
  std::string Input(DType dtype, std::vector<int64_t> shape, Filling filling = {});
  /// A tensor of the engine (see stored_tensors.h) as an input of the graph. Returns its name.
  std::string Own(const std::string& name);
  /// One operation. `outputs` new tensors, which the graph returns, come after those of `in_place`, which are names of
  /// inputs.
  void Node(const std::string& type, ParamObject param, std::vector<std::string> inputs, int outputs,
            std::vector<std::string> in_place = {});
  /// Makes one thing wrong, or other than the recipe made it: a param, a tensor, an input, a name; or places a view or
  /// a sub-graph, which may be right.
  void Spoil();
  /// Gives an input another size along one axis.
  void Resize();
  /// Gives the inputs their bytes, new ones when it is called again.
  void Allocate();

  Bytes& bytes;
  ForwardRequest request;
  std::vector<std::string> types;

 private:
  struct Given {
    std::string name;
    TensorDesc desc;
    Filling filling;
  };
  void Fill(const Given& given, const Tensor& tensor);

  std::vector<Given> given_;
  int names_ = 0;
};

}  // namespace atb::fuzz

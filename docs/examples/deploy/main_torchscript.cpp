// Acts with policy.pt through libtorch: main_torchscript policy.pt check.txt replays check.txt.
//
// A robot needs `Policy` alone, and knows the inputs and the size of the state from policy.json.

#include <ATen/Parallel.h>
#include <torch/script.h>

#include <map>

#include "replay.hpp"

const std::map<std::string, at::ScalarType> types{
    {"float32", at::kFloat}, {"float64", at::kDouble}, {"int64", at::kLong}, {"int32", at::kInt},
    {"int8", at::kChar},     {"uint8", at::kByte},     {"bool", at::kBool}};

class Policy {
 public:
  Policy(const std::string& file, const std::vector<Input>& inputs, int64_t state_size)
      : inputs_(inputs), module_(torch::jit::load(file)), state_(torch::zeros({1, state_size})) {
    at::set_num_threads(1);  // the fastest for small networks
    for (auto input : inputs) {
      if (!types.count(input.type)) throw std::runtime_error(input.type + " is not served");
      input.shape.insert(input.shape.begin(), 1);
      values_.push_back(torch::zeros(input.shape, types.at(input.type)));
    }
    if (state_size) values_.push_back(state_);
    for (int i = 0; i < 3; ++i) act();  // the first calls compile, and take far longer
    reset();
  }

  // Begins an episode: the state is zero.
  void reset() { state_ = torch::zeros_like(state_); }

  void set(const std::string& name, const Numbers& values) {
    const auto is_it = [&](const Input& input) { return input.name == name; };
    const auto found = std::find_if(inputs_.begin(), inputs_.end(), is_it);
    if (found == inputs_.end()) throw std::runtime_error("the policy reads no " + name);
    auto tensor = values_[found - inputs_.begin()].toTensor();
    tensor.copy_(torch::tensor(values, at::kDouble).reshape(tensor.sizes()));
  }

  // From the inputs and the state to the action and the next state.
  void act() {
    const c10::InferenceMode inference;
    if (state_.numel()) values_.back() = state_;
    const auto found = module_.forward(values_);
    if (!state_.numel()) {
      action_ = found.toTensor();
      return;
    }
    action_ = found.toTuple()->elements()[0].toTensor();
    state_ = found.toTuple()->elements()[1].toTensor();
  }

  Numbers action() const { return numbers(action_); }
  Numbers state() const { return numbers(state_); }

 private:
  static Numbers numbers(const torch::Tensor& tensor) {
    const auto flat = tensor.to(at::kDouble).contiguous();
    return Numbers(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
  }

  std::vector<Input> inputs_;
  torch::jit::Module module_;
  torch::Tensor state_, action_;
  std::vector<torch::jit::IValue> values_;  // of the inputs; then of the state
};

int main(int count, char** arguments) try {
  if (count != 3) throw std::runtime_error("usage: main_torchscript policy.pt check.txt");
  const Check check = read_check(arguments[2]);
  Policy policy(arguments[1], check.inputs, check.steps[0].next_state.size());
  return replay(policy, check);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 2;
}

// Acts with policy.onnx through onnxruntime: main policy.onnx check.txt replays check.txt.
//
// A robot needs `Policy` alone. Its tensors are allocated once; the two buffers of the state are
// swapped, not copied.

#include <onnxruntime_cxx_api.h>

#include "replay.hpp"

// Calls `use` with a pointer to a tensor's numbers, which has their own type.
template <class Use>
void visit(Ort::Value& tensor, Use use) {
  const auto type = tensor.GetTensorTypeAndShapeInfo().GetElementType();
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: return use(tensor.GetTensorMutableData<float>());
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: return use(tensor.GetTensorMutableData<double>());
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return use(tensor.GetTensorMutableData<int64_t>());
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: return use(tensor.GetTensorMutableData<int32_t>());
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8: return use(tensor.GetTensorMutableData<int8_t>());
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: return use(tensor.GetTensorMutableData<uint8_t>());
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL: return use(tensor.GetTensorMutableData<bool>());
    default: throw std::runtime_error("ONNX's type " + std::to_string(type) + " is not served");
  }
}

class Policy {
 public:
  explicit Policy(const char* file) : session_(environment_, file, options()) {
    for (size_t i = 0; i < session_.GetInputCount(); ++i) {
      input_names_.push_back(session_.GetInputNameAllocated(i, allocator_).get());
      inputs_.push_back(zeros(session_.GetInputTypeInfo(i)));
    }
    for (size_t i = 0; i < session_.GetOutputCount(); ++i) {
      output_names_.push_back(session_.GetOutputNameAllocated(i, allocator_).get());
      outputs_.push_back(zeros(session_.GetOutputTypeInfo(i)));
    }
    for (auto& name : input_names_) input_pointers_.push_back(name.c_str());
    for (auto& name : output_names_) output_pointers_.push_back(name.c_str());
    if (outputs_.size() == 2) state_ = &input("state");
  }

  // Begins an episode: the state is zero.
  void reset() {
    if (state_) std::fill_n(state_->GetTensorMutableData<float>(), size(*state_), 0.0f);
  }

  // The tensor of an input; write into it before `act`.
  Ort::Value& input(const std::string& name) {
    const auto found = std::find(input_names_.begin(), input_names_.end(), name);
    if (found == input_names_.end()) throw std::runtime_error("the policy reads no " + name);
    return inputs_[found - input_names_.begin()];
  }

  void set(const std::string& name, const Numbers& values) {
    auto& tensor = input(name);
    if (values.size() != size(tensor)) throw std::runtime_error(name + " has another size");
    visit(tensor, [&](auto* to) { std::copy(values.begin(), values.end(), to); });
  }

  // From the inputs and the state to the action and the next state.
  void act() {
    session_.Run(run_, input_pointers_.data(), inputs_.data(), inputs_.size(),
                 output_pointers_.data(), outputs_.data(), outputs_.size());
    if (state_) std::swap(*state_, outputs_[1]);
  }

  Numbers action() { return numbers(outputs_[0]); }
  Numbers state() { return state_ ? numbers(*state_) : Numbers(); }

 private:
  static size_t size(const Ort::Value& tensor) {
    return tensor.GetTensorTypeAndShapeInfo().GetElementCount();
  }

  static Numbers numbers(Ort::Value& tensor) {
    Numbers found(size(tensor));
    visit(tensor, [&](auto* from) { std::copy_n(from, found.size(), found.begin()); });
    return found;
  }

  static Ort::SessionOptions options() {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);  // the fastest for small networks
    return options;
  }

  // A free axis is the batch; a robot has one row.
  Ort::Value zeros(const Ort::TypeInfo& info) {
    const auto wanted = info.GetTensorTypeAndShapeInfo();
    auto shape = wanted.GetShape();
    std::replace(shape.begin(), shape.end(), int64_t{-1}, int64_t{1});
    const auto type = wanted.GetElementType();
    auto made = Ort::Value::CreateTensor(allocator_, shape.data(), shape.size(), type);
    visit(made, [&](auto* values) { std::fill_n(values, size(made), 0); });
    return made;
  }

  Ort::Env environment_{ORT_LOGGING_LEVEL_WARNING, "policy"};
  Ort::Session session_;
  Ort::RunOptions run_;
  Ort::AllocatorWithDefaultOptions allocator_;
  std::vector<std::string> input_names_, output_names_;
  std::vector<const char*> input_pointers_, output_pointers_;
  std::vector<Ort::Value> inputs_, outputs_;
  Ort::Value* state_ = nullptr;  // one of the inputs, where there is a state
};

int main(int count, char** arguments) try {
  if (count != 3) throw std::runtime_error("usage: main policy.onnx check.txt");
  Policy policy(arguments[1]);
  return replay(policy, read_check(arguments[2]));
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 2;
}

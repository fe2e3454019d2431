// Replays the steps of an exported policy that check.txt holds (see check_to_text.py).
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iomanip>
#include <stdexcept>
#include <string>
#include <vector>

using Numbers = std::vector<double>;

struct Input {
  std::string name, type;  // numpy's name of the type
  std::vector<int64_t> shape;  // without the batch
};

struct Step {
  bool start;  // of an episode
  std::vector<Numbers> inputs;
  Numbers action, next_state;
};

struct Check {
  std::vector<Input> inputs;
  Numbers tolerance;  // of each number of an action
  std::vector<Step> steps;
};

template <class Number>
std::vector<Number> read(std::istream& text, size_t size) {
  std::vector<Number> values(size);
  for (auto& value : values) text >> value;
  return values;
}

inline Check read_check(const std::string& file) {
  std::ifstream text(file);
  size_t steps = 0, state_size = 0, input_count = 0, action_size = 0, rank = 0;
  text >> steps >> state_size >> input_count >> action_size;
  Check check;
  for (size_t i = 0; text && i < input_count; ++i) {
    Input input;
    text >> std::quoted(input.name) >> input.type >> rank;
    input.shape = read<int64_t>(text, rank);
    check.inputs.push_back(input);
  }
  check.tolerance = read<double>(text, action_size);
  for (size_t i = 0; text && i < steps; ++i) {
    Step step;
    text >> step.start;
    for (const auto& input : check.inputs) {
      size_t size = 1;
      for (auto length : input.shape) size *= length;
      step.inputs.push_back(read<double>(text, size));
    }
    step.action = read<double>(text, action_size);
    step.next_state = read<double>(text, state_size);
    check.steps.push_back(step);
  }
  if (!text || !steps) {
    throw std::runtime_error(file + " is missing or damaged; check_to_text.py writes it");
  }
  return check;
}

// The largest difference of what was compared, and whether all of it was within its tolerance.
struct Gap {
  double largest = 0;
  bool agrees = true;

  template <class Tolerance>
  void compare(const Numbers& found, const Numbers& wanted, Tolerance tolerance) {
    agrees = agrees && found.size() == wanted.size();
    for (size_t i = 0; i < std::min(found.size(), wanted.size()); ++i) {
      const double difference = std::abs(found[i] - wanted[i]);
      largest = std::max(largest, difference);
      agrees = agrees && difference <= tolerance(i);  // false for NaN, too
    }
  }
};

// Prints how far off a policy's actions and states are, and how long an action takes. Gives 0, or 1
// where they are too far off. A policy has reset(), set(name, values), act(), action() and state().
template <class Policy>
int replay(Policy& policy, const Check& check) {
  Gap action, state;
  Numbers times;
  for (const auto& step : check.steps) {
    if (step.start) policy.reset();
    for (size_t i = 0; i < check.inputs.size(); ++i) {
      policy.set(check.inputs[i].name, step.inputs[i]);
    }
    const auto began = std::chrono::steady_clock::now();
    policy.act();
    const auto took = std::chrono::steady_clock::now() - began;
    times.push_back(std::chrono::duration<double, std::micro>(took).count());
    action.compare(policy.action(), step.action, [&](size_t i) { return check.tolerance[i]; });
    state.compare(policy.state(), step.next_state, [](size_t) { return 1e-4; });
  }
  std::sort(times.begin(), times.end());
  std::printf("%zu steps: actions differ by at most %.1e, states by %.1e; ", times.size(),
              action.largest, state.largest);
  std::printf("%.0f µs an action, 99 %% within %.0f µs\n", times[times.size() / 2],
              times[times.size() * 99 / 100]);
  if (action.agrees && state.agrees) return 0;
  std::fprintf(stderr, "the file does not act as the policy did\n");
  return 1;
}

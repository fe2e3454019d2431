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
  if (!text || !steps) throw std::runtime_error(file + " is missing or damaged; check_to_text.py writes it");
  return check;
}

// Prints how far off a policy's actions and states are, and how long an action takes. Gives 0, or 1
// where they are too far off. A policy has reset(), set(name, values), act(), action() and state().
template <class Policy>
int replay(Policy& policy, const Check& check) {
  double action_gap = 0, state_gap = 0;
  bool agrees = true;
  Numbers microseconds;
  const auto compare = [&](const Numbers& found, const Numbers& wanted, double& largest, auto tolerance) {
    agrees = agrees && found.size() == wanted.size();
    for (size_t i = 0; agrees && i < wanted.size(); ++i) {
      const double gap = std::abs(found[i] - wanted[i]);
      largest = std::max(largest, gap);
      agrees = gap <= tolerance(i);  // false for NaN, too
    }
  };
  for (const auto& step : check.steps) {
    if (step.start) policy.reset();
    for (size_t i = 0; i < step.inputs.size(); ++i) policy.set(check.inputs[i].name, step.inputs[i]);
    const auto began = std::chrono::steady_clock::now();
    policy.act();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - began;
    microseconds.push_back(took.count());
    compare(policy.action(), step.action, action_gap, [&](size_t i) { return check.tolerance[i]; });
    compare(policy.state(), step.next_state, state_gap, [](size_t) { return 1e-4; });
  }
  std::sort(microseconds.begin(), microseconds.end());
  const auto slow = microseconds[microseconds.size() * 99 / 100], median = microseconds[microseconds.size() / 2];
  std::printf("%zu steps: actions differ by at most %.1e, states by %.1e; %.0f µs an action, 99 %% within %.0f µs\n",
              microseconds.size(), action_gap, state_gap, median, slow);
  if (!agrees) std::fprintf(stderr, "the file does not act as the policy did\n");
  return agrees ? 0 : 1;
}

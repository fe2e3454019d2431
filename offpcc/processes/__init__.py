"""The process around a training: observer, signals, output, memory."""

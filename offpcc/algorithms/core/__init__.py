"""What all algorithms share: agent, actor and critic, the two updates, the optimizer."""

"""A ROS 2 node around an exported policy: observations in, actions out at the control period.

    python ros2_node.py --ros-args -p policy:=export/policy.onnx

It needs rclpy, std_msgs and std_srvs, and runner.py from the export beside it. Each input of the
policy is a topic of its name, `action` is what it publishes: Float32MultiArrays, flat. The service
`reset` starts an episode. Where an observation is missing, older than two periods or wrong, nothing
is published: what the robot does then is for its controller to decide.
"""

from contextlib import suppress
from functools import partial

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from runner import Runner
from std_msgs.msg import Float32MultiArray
from std_srvs.srv import Trigger

PERIODS = 2  # how old an observation may be


class PolicyNode(Node):
    """Acts at every tick of a timer with the newest message of each topic."""

    def __init__(self) -> None:
        super().__init__("policy")
        file = self.declare_parameter("policy", "policy.onnx").value
        self.runner = Runner(file)
        known = self.runner.contract["control_period"]
        self.period = self.declare_parameter("period", known["seconds"] or 0.0).value
        if not self.period > 0:
            raise ValueError(f"{file} has no control period; set the parameter period, in seconds")
        self.get_logger().info(f"an action every {self.period} s; the contract says {known}")
        self.shapes = {each["key"]: each["shape"] for each in self.runner.contract["inputs"]}
        self.newest: dict[str, tuple[int, np.ndarray]] = {}  # by key: when it came in ns, and what
        for key in self.shapes:
            self.create_subscription(
                Float32MultiArray, key.replace("/", "_"), partial(self.observe, key), 1
            )
        self.publisher = self.create_publisher(Float32MultiArray, "action", 1)
        self.create_service(Trigger, "reset", self.reset)
        self.create_timer(self.period, self.act)

    def observe(self, key: str, message: Float32MultiArray) -> None:
        """Keeps a message until the next one."""
        values, shape = np.asarray(message.data), self.shapes[key]
        if values.size == np.prod(shape):  # where not, the runner says so
            values = values.reshape(shape)
        self.newest[key] = self.get_clock().now().nanoseconds, values

    def reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Starts an episode: the state is zero, and observations of before are forgotten."""
        self.runner.reset()
        self.newest.clear()
        response.success, response.message = True, "the state is zero"
        return response

    def act(self) -> None:
        """Publishes an action, if there are observations for it."""
        oldest = self.get_clock().now().nanoseconds - PERIODS * self.period * 1e9
        late = [k for k in self.shapes if k not in self.newest or self.newest[k][0] < oldest]
        if late:
            self.get_logger().warning(f"no new {', '.join(late)}", throttle_duration_sec=1.0)
            return
        try:
            action = self.runner.act({key: values for key, (_, values) in self.newest.items()})
        except ValueError as error:
            self.get_logger().error(str(error), throttle_duration_sec=1.0)
            return
        self.publisher.publish(Float32MultiArray(data=np.ravel(action).astype(float).tolist()))


def main() -> None:
    """Runs the node until it is stopped."""
    rclpy.init()
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(PolicyNode())


if __name__ == "__main__":
    main()

import math

import numpy as np
import pytest

from offpcc.domains.extras import missing

pytest.importorskip("pybullet", reason=missing("pybullet", "bullet"))

from offpcc.domains.bullet.scene import Scene
from offpcc.domains.bullet.ur5 import ARM, BEND, BLADE, HOME, TOOL, reach, reach_level, ur5

MASSES = [3.7, 8.393, 2.275, 1.219, 1.219, 0.1879]


@pytest.fixture(scope="module")
def scene():
    scene = Scene()
    scene.clear()
    scene.load(ur5(), turned=math.pi)
    yield scene
    scene.close()


def tool(scene, joints):
    """Where PyBullet has the tool, and how it is turned, at these angles."""
    for joint, angle in zip(ARM, joints, strict=True):
        scene.call.resetJointState(0, joint, angle)
    at, turned = scene.call.getLinkState(0, TOOL, 0, True)[4:6]
    return np.array(at), np.array(scene.call.getMatrixFromQuaternion(turned)).reshape(3, 3)


def test_at_home_the_tool_points_down_and_the_finger_swings_along_y(scene):
    # x = 0.39225 + 0.09465, y = 0.13585 - 0.1197 + 0.093, z = 0.089159 + 0.425 - 0.0823
    at, turned = tool(scene, HOME)
    assert at == pytest.approx((0.4869, 0.10915, 0.431859), abs=1e-6)
    assert turned[:, 2] == pytest.approx((0.0, 0.0, -1.0), abs=1e-6)
    assert turned[:, 1] == pytest.approx((-1.0, 0.0, 0.0), abs=1e-6)  # the hinge's axis
    assert reach(*at) == pytest.approx(HOME, abs=1e-5)


@pytest.mark.parametrize("z", [0.2, 0.35])
def test_the_tool_gets_where_it_is_sent_and_stays_upright(scene, z):
    upright = tool(scene, HOME)[1]
    line = np.linspace(-0.41, 0.41, 15)
    for y, joints in zip(line, reach(0.6, line, z), strict=True):
        at, turned = tool(scene, joints)
        assert at == pytest.approx((0.6, y, z), abs=1e-6)
        assert turned == pytest.approx(upright, abs=1e-6)


def test_a_level_tool_points_along_y_with_the_hinge_along_x(scene):
    heights = np.linspace(0.05, 0.4, 8)
    for z, joints in zip(heights, reach_level(0.6, 0.03, heights), strict=True):
        at, turned = tool(scene, joints)
        assert at == pytest.approx((0.6, 0.03, z), abs=1e-6)
        assert turned[:, 2] == pytest.approx((0.0, 1.0, 0.0), abs=1e-6)
        assert turned[:, 1] == pytest.approx((1.0, 0.0, 0.0), abs=1e-6)


@pytest.mark.parametrize("to", [reach, reach_level])
def test_a_place_out_of_reach_is_refused(to):
    with pytest.raises(ValueError, match="does not reach"):
        to(0.6, [0.0, 0.9], 0.2)


def test_links_weigh_what_is_published_and_the_hinge_has_its_stops(scene):
    masses = [scene.call.getDynamicsInfo(0, link)[0] for link in (*ARM, TOOL, BLADE)]
    assert masses == pytest.approx([*MASSES, 0.1, 0.02])
    assert scene.call.getJointInfo(0, BLADE)[8:10] == (-BEND, BEND)
    assert scene.call.getDynamicsInfo(0, BLADE)[1] == 1.0  # the blade's friction

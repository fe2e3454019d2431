import pytest


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows open in memory, also where there is a display."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")

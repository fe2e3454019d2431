import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Sums are taken in one order, whatever the machine."""
    torch.set_num_threads(1)

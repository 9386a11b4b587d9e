import subprocess
import sys

HEAVY = ("torch", "transformers", "accelerate", "gguf", "matplotlib")


def loaded_after(code: str) -> set[str]:
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_aspen_loads_no_tensor_library() -> None:
    modules = loaded_after("import aspen")
    assert "aspen.models.interface" in modules
    assert modules.isdisjoint(HEAVY)


def test_listing_a_store_loads_no_tensor_library_either() -> None:
    code = (
        "from aspen import Aspen\nwith Aspen.open(':memory:') as aspen: assert aspen.repository.list() == []"
    )
    assert loaded_after(code).isdisjoint(HEAVY)

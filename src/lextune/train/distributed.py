"""A model divided among processes: FSDP2 (Zhao et al. 2023) on CPUs and GPUs alike, and DeepSpeed's settings.

With FSDP2 each process holds a share of every parameter, and a decoder layer's are put together while it computes.
`accelerate` does that on GPUs alone, so it is done here, by the same calls of torch. A checkpoint holds whole tensors
whatever the strategy: a run may go on with another one, or with more or fewer processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

Groups = list[dict[str, Any]]


def shard(model: torch.nn.Module, groups: Groups, device: torch.device) -> Groups:
    """Divide a model among all processes, layer by layer, and return the optimizer's groups of the divided parameters.

    What is left over of each decoder layer is divided with the whole: embeddings, the last norm, heads.

    Args:
        model: whole, on the CPU or on `device`, the same in each process.
        groups: parameter groups of the optimizer.
        device: of this process; a layer moves to it as it is divided, so the whole need not fit there.
    """
    names = {parameter: name for name, parameter in model.named_parameters()}
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    for layer in decoder_layers(model):
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model._is_accelerate_prepared = True  # else accelerate would put it into DDP
    divided = dict(model.named_parameters())
    return [{**group, "params": [divided[names[p]] for p in group["params"]]} for group in groups]


def decoder_layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the layers that transformers says must stay on one device."""
    kinds = {kind for module in model.modules() for kind in getattr(module, "_no_split_modules", None) or ()}
    return [module for module in model.modules() if type(module).__name__ in kinds]


def trainable(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters that are trained, whole, by name; all processes must call it where they are divided."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    learnt = {name: p for name, p in model.named_parameters() if p.requires_grad}
    with _gathered(learnt.values()):
        return {name: whole(p.detach()).clone().contiguous() for name, p in learnt.items()}


def load_trainable(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Put whole tensors into the parameters of these names, divided or not."""
    parameters = dict(model.named_parameters())
    chosen = {parameters[name]: tensor for name, tensor in weights.items()}
    with torch.no_grad(), _gathered(chosen, modified=True):
        for parameter, tensor in chosen.items():
            parameter.copy_(like(tensor.to(parameter.dtype), parameter))


def settle(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Give parameters these values, whole; divided ones become plain tensors on the CPU, to be saved."""
    parameters = dict(model.named_parameters())
    plain = {
        parameters[name]: torch.nn.Parameter(tensor.cpu())
        for name, tensor in weights.items()
        if isinstance(parameters[name], DTensor)
    }
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter in plain:
                setattr(module, name, plain[parameter])
    load_trainable(model, {name: tensor for name, tensor in weights.items() if parameters[name] not in plain})


def whole(value: Any) -> Any:
    """Return a divided tensor whole (all processes must call it), anything else as it is."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def like(value: Any, parameter: Any) -> Any:
    """Return this process's share of a whole tensor where the parameter of its shape is divided."""
    if not isinstance(parameter, DTensor) or value.shape != parameter.shape:
        return value
    local = value.to(parameter.device_mesh.device_type)
    return distribute_tensor(local, parameter.device_mesh, parameter.placements, src_data_rank=None)


def whole_optimizer(optimizer: Any) -> dict[str, Any]:
    """Return the optimizer's state with whole tensors on the CPU, as one process would have it; all must call it."""
    state = optimizer.state_dict()
    held = {
        place: {name: whole(value).cpu() if torch.is_tensor(value) else value for name, value in values.items()}
        for place, values in state["state"].items()
    }
    return {**state, "state": held}


def divide_when_loaded(optimizer: torch.optim.Optimizer) -> None:
    """Make an optimizer of divided parameters take a state of whole tensors."""

    def divided(taker: Any, state: dict[str, Any]) -> dict[str, Any]:
        parameters = [p for group in taker.param_groups for p in group["params"]]
        held = {
            place: {
                name: like(value, parameters[place]) if torch.is_tensor(value) else value
                for name, value in values.items()
            }
            for place, values in state["state"].items()
        }
        return {**state, "state": held}

    optimizer.register_load_state_dict_pre_hook(divided)


def deepspeed_settings(stage: int, precision: str) -> dict[str, Any]:
    """Return DeepSpeed's settings for ZeRO (Rajbhandari et al. 2020); `auto` is filled in from the run's own.

    Args:
        stage: 2 divides the optimizer's state and the gradients, 3 the parameters too.
        precision: `bf16` casts what is trained too and keeps it in fp32 in the optimizer.
    """
    return {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": precision == "bf16"},
        "zero_optimization": {
            "stage": stage,
            "overlap_comm": True,
            "contiguous_gradients": True,
            **({"stage3_gather_16bit_weights_on_model_save": True} if stage == 3 else {}),
        },
    }


def _gathered(parameters: Iterable[Any], *, modified: bool = False) -> AbstractContextManager[Any]:
    """Return a context in which parameters that ZeRO-3 divided are whole."""
    divided = [p for p in parameters if hasattr(p, "ds_id")]
    if not divided:
        return nullcontext()
    import deepspeed

    context: AbstractContextManager[Any] = deepspeed.zero.GatheredParameters(
        divided, modifier_rank=0 if modified else None
    )
    return context

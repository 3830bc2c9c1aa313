"""The training loop that the demo's models share: schedule by budget, averaged weights, checkpoints, log of losses."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm  # type: ignore[import-untyped]

CHECKPOINT = "checkpoint.pt"
LOG = "losses.jsonl"

Loss = Callable[[np.random.Generator], Mapping[str, Tensor]]
"""Draws a batch and gives its losses, each a scalar; "loss" is the one that is minimized."""


@dataclass(frozen=True)
class LoopOptions:
    """How long and how to train.

    Attributes:
        minutes: training time, over all resumed runs; the cosine schedule ends with it.
        steps: a limit on the steps, with which the schedule then ends, so that a run can be repeated; 0 = none.
        learning_rate: its peak, after `warmup` steps.
        ema: decay of the averaged weights, a step; they are what is published.
        save_minutes: time between checkpoints.
    """

    minutes: float
    learning_rate: float
    steps: int = 0
    weight_decay: float = 0.01
    warmup: int = 50
    ema: float = 0.998
    clip_norm: float = 1.0
    seed: int = 0
    save_minutes: float = 3.0


class Training:
    """One model in training; `run` goes on from the folder's checkpoint if there is one."""

    def __init__(self, model: nn.Module, options: LoopOptions, folder: Path) -> None:
        """Prepare `model`, which already lies on its device; `folder` holds checkpoint and log."""
        self.model, self.options, self.folder = model, options, folder
        self.average = copy.deepcopy(model).requires_grad_(False)
        decayed = [weight for weight in model.parameters() if weight.requires_grad and weight.ndim > 1]
        plain = [weight for weight in model.parameters() if weight.requires_grad and weight.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(
            groups, lr=options.learning_rate, weight_decay=options.weight_decay, betas=(0.9, 0.98), fused=True
        )
        self._rng = np.random.default_rng(options.seed)
        torch.manual_seed(options.seed)
        self.step, self._seconds = 0, 0.0

    def run(self, loss: Loss, publish: Callable[[Any], None]) -> None:
        """Train until the budget is spent; publish the averaged weights at every checkpoint and at the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        saved = clock = time.monotonic()
        with tqdm(total=round(self.options.minutes * 60), unit="s", desc=self.folder.name, mininterval=5) as bar:
            bar.update(round(self._seconds))
            while not self._spent():
                losses = self._advance(loss)
                now = time.monotonic()
                self._seconds, clock = self._seconds + now - clock, now
                bar.set_postfix({"step": self.step, **losses}, refresh=False)
                bar.update(round(self._seconds) - bar.n)
                if now - saved > self.options.save_minutes * 60:
                    self._save()
                    publish(self.average)
                    saved = time.monotonic()
        self._save()
        publish(self.average)

    def _spent(self) -> bool:
        steps = self.options.steps
        return self._seconds >= self.options.minutes * 60 or bool(steps and self.step >= steps)

    def _advance(self, loss: Loss) -> dict[str, float]:
        for group in self._optimizer.param_groups:
            group["lr"] = self.options.learning_rate * self._schedule()
        losses = loss(self._rng)
        self._optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip_norm)
        self._optimizer.step()
        self.step += 1
        self._follow()
        values = {name: round(float(value.detach()), 5) for name, value in losses.items()}
        if self.step % 10 == 0:
            self._log(values)
        return values

    def _schedule(self) -> float:
        """Factor of the learning rate: linear warmup by steps, then half a cosine over the budget."""
        steps = self.options.steps
        done = min(1.0, self.step / steps if steps else self._seconds / (self.options.minutes * 60))
        cosine = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))
        return min(1.0, (self.step + 1) / self.options.warmup) * cosine

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average a step towards the weights; faster at first, so that it forgets the random start."""
        decay = min(self.options.ema, (1 + self.step) / (10 + self.step))
        averages: list[Tensor] = list(self.average.parameters())
        weights: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(averages, weights, 1 - decay)
        for buffer, value in zip(self.average.buffers(), self.model.buffers(), strict=True):
            buffer.copy_(value)

    def _log(self, values: Mapping[str, float]) -> None:
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.step, "seconds": round(self._seconds, 1), **values}) + "\n")

    def _save(self) -> None:
        state = {
            "options": asdict(self.options),
            "step": self.step,
            "seconds": self._seconds,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "rng": json.dumps(self._rng.bit_generator.state),
            "torch_rng": torch.get_rng_state(),
        }
        target = self.folder / CHECKPOINT
        half = target.with_suffix(".part")
        torch.save(state, half)
        os.replace(half, target)

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return
        device = next(self.model.parameters()).device
        state = torch.load(path, map_location=device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._rng.bit_generator.state = json.loads(state["rng"])
        torch.set_rng_state(state["torch_rng"].cpu())
        self.step, self._seconds = state["step"], state["seconds"]
        self._forget_later()

    def _forget_later(self) -> None:
        """Drop what the log says of steps after the checkpoint: they are taken again."""
        log = self.folder / LOG
        if log.is_file():
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            log.write_text("".join(line for line in lines if json.loads(line)["step"] <= self.step), encoding="utf-8")

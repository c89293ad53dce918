"""What a reading must meet, and in whose words it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from heldout.techniques.learning_coefficient.level import Level
from heldout.techniques.learning_coefficient.plateau import Plateau

CERTAIN = 4.0
"""Standard errors by which equipartition must be missed for it to count as missed."""


@final
@dataclass(frozen=True)
class Requirements:
    """`r_hat` of the loss and `distance_r_hat` of the distance from w* are the largest that count as mixed (1.05 rather
    than 1.01: with many chains of few draws R̂ is about √(1 + τ/n) for a correlation time τ however well they mix);
    `effective` draws of either are the fewest.

    `equipartition`: by how much (w − w*)·∇U may miss the number of parameters. `tilt`: how far below w* a draw may lie.
    `left_to_go`: how much may be added to what levels read. `localisation`: how much a tighter one may change the
    reading. `half_width`: how wide the interval may be. The last four are shares of the estimate.
    `misfit`: the level at which levels are no approach to a plateau."""

    r_hat: float = 1.05
    distance_r_hat: float = 1.1
    effective: float = 200.0
    equipartition: float = 0.1
    tilt: float = 0.05
    left_to_go: float = 0.1
    localisation: float = 0.1
    half_width: float = 0.1
    misfit: float = 0.001

    def against(self, level: Level) -> tuple[str, ...]:
        """Why a level is no reading; empty where it is one."""
        reasons = (*self._not_mixed(level), *self._drifting(level), *self._tilted(level))
        return tuple(f"{reason} (at {level})" for reason in reasons)

    def against_plateau(self, plateau: Plateau) -> tuple[str, ...]:
        """Why levels that are readings are no plateau."""
        reasons: list[str] = []
        value, (low, high) = plateau.value, plateau.interval
        if plateau.misfit_p_value < self.misfit:
            read = ", ".join(f"{level.value:.4g} at {level.n_beta:.3g}" for level in plateau.levels)
            reasons.append(f"does not plateau: nβ changes it beyond chance and a multiplicity ({read})")
        for what, amount, accepted in (
            ("does not plateau: left to go is", plateau.left_to_go, self.left_to_go),
            (
                "depends on the localisation: changing it by √10 makes up to",
                plateau.localisation_change,
                self.localisation,
            ),
            ("is too uncertain: half of the interval is", (high - low) / 2, self.half_width),
        ):
            if not amount <= accepted * value:
                reasons.append(f"{what} {amount:.3g}, {accepted:.0%} of {value:.4g} is accepted")
        return tuple(reasons)

    def _not_mixed(self, level: Level) -> tuple[str, ...]:
        reasons: list[str] = []
        for what, r_hat, accepted, effective in (
            ("the loss", level.r_hat, self.r_hat, level.effective),
            ("the distance from w*", level.distance_r_hat, self.distance_r_hat, level.distance_effective),
        ):
            if not r_hat <= accepted:
                reasons.append(f"does not mix: R̂ of {what} is {r_hat:.3f}, {accepted} is accepted")
            elif not effective >= self.effective:
                reasons.append(
                    f"too few draws: {effective:.0f} effective ones of {what}, {self.effective:.0f} are needed"
                )
        return tuple(reasons)

    def _drifting(self, level: Level) -> tuple[str, ...]:
        missed = abs(level.equipartition - 1.0)
        if missed <= max(self.equipartition, CERTAIN * level.equipartition_error):
            return ()
        return (f"drifts: (w − w*)·∇U is {level.equipartition:.3f} of what it is in equilibrium",)

    def _tilted(self, level: Level) -> tuple[str, ...]:
        if level.value > 0.0 and level.lowest >= -self.tilt * level.value:
            return ()
        return (f"w* is no minimum: the loss falls below that of w* by {-level.lowest:.3g} / nβ",)

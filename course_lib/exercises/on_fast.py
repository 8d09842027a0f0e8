"""The exercises of the chapter on making an optimizer fast."""

import numpy as np

from course_lib.exercises.exercise import Exercise, is_close


def _bytes_of_amsgrad(answer):
    if is_close(answer, 36, 1e-9):
        return None
    hints = {
        28: "That is Adam without v_max, which is read and written too.",
        32: "The largest v so far changes: v_max is written as well as read.",
        9: "Nine numbers, each of four bytes.",
        20: "That is what is read; the new w, m, v and v_max are written.",
        16: "That is what is written; w, g and the state must be read first.",
        40: "The gradient is read, and not written.",
    }
    for value, hint in hints.items():
        if is_close(answer, value, 1e-9):
            return hint
    return "Read w, g and the three arrays of the state; write w and the three arrays; four bytes each."


Exercise(
    "fast-1",
    _bytes_of_amsgrad,
    accepted=(36, 36.0, np.int64(36), [36]),
    rejected=(
        (28, "without v_max"), (32, "written as well"), (9, "four bytes"), (20, "what is read"),
        (16, "what is written"), (40, "gradient is read"), (72, "four bytes each"),
    ),
)


def _time_of_a_step(answer):
    if is_close(answer, 98, 0.01):
        return None
    hints = {
        0.098: "In milliseconds, please: the time in seconds, times a thousand.",
        77: "That is without the master copy, which is read (in place of w) and written.",
        49: "That is reading alone; the copy, the weights and the moments are written too.",
        56: "Those are the 16 bytes that are held; a step reads some of them and writes some again.",
        105: "The step reads the master copy, not the rounded weights: these are only written.",
        91: "The rounded weights must be written as well, for the next forward pass.",
        112: "Is the gradient written? And the rounded weights are not read.",
    }
    for value, hint in hints.items():
        if is_close(answer, value, 0.01):
            return hint
    return "List the arrays that a step reads and those that it writes, with 2 or 4 bytes each; over the bandwidth, in milliseconds."


Exercise(
    "fast-2",
    _time_of_a_step,
    accepted=(98, 98.0, np.float32(98), [98]),
    rejected=(
        (0.098, "milliseconds"), (77, "master copy"), (49, "reading alone"), (56, "held"), (105, "only written"),
        (91, "next forward"), (112, "gradient written"), (1, "milliseconds"),
    ),
)


def _tokens_of_a_twentieth(answer):
    if is_close(answer, 19 * 28 * 100 / 6, 0.01):
        return None
    hints = {
        20 * 28 * 100 / 6: "A twentieth of the whole step: the rest is not twenty times the optimizer's time.",
        28 * 100 / 6: "With so many tokens the two take equally long.",
        28 * 100 / 6 / 19: "That is turned round: there the optimizer takes nineteen twentieths.",
        9 * 28 * 100 / 6: "There it takes a tenth.",
        19 * 28 * 100: "Each weight and token takes six operations, not one.",
        19 * 28 * 100 / 2: "Forward and backward together take six operations, not two.",
        19 * 16 * 100 / 6: "The 16 bytes are held; the step reads some of them and writes some again.",
        19 * 14 * 100 / 6: "That is reading alone, or writing alone.",
    }
    for value, hint in hints.items():
        if is_close(answer, value, 0.01):
            return hint
    return "The share is the optimizer's time over the whole. Which time of the two does the number of tokens change?"


Exercise(
    "fast-3",
    _tokens_of_a_twentieth,
    accepted=(19 * 28 * 100 / 6, 8867, 8900, np.float32(8867)),
    rejected=(
        (9333, "not twenty"), (467, "equally long"), (24.6, "turned round"), (4200, "a tenth"),
        (53200, "six operations"), (26600, "not two"), (5067, "held"), (4433, "alone"), (32, "over the whole"),
    ),
)


def _scales(answer):
    try:
        small, large = (float(each) for each in answer)
    except (TypeError, ValueError):
        return "Two powers of two are asked for: (smallest, largest)."
    if small > large:
        return "The smallest first, please."
    if is_close(small, 7, 1e-9) or is_close(large, 16, 1e-9):
        return "The powers of two themselves, please, not their exponents."
    return _largest_scale(large) or _smallest_scale(small)


def _largest_scale(large):
    if is_close(large, 65536, 1e-9):
        return None
    if is_close(large, 131072, 1e-9):
        return "Half of 131072 is 65536: more than 65504."
    if is_close(large, 131008, 1e-4):
        return "A power of two is asked for: such a scale changes no digit of a gradient."
    if is_close(large, 32768, 1e-9):
        return "The largest gradient is 0.5, so the scale may itself be larger than 65504."
    return "The largest scale times 0.5 must not exceed 65504."


def _smallest_scale(small):
    if is_close(small, 128, 1e-9):
        return None
    if is_close(small, 256, 1e-9):
        return "The smallest positive float16 is 2⁻²⁴, but what is more than half of it is rounded up to it."
    if is_close(small, 64, 1e-9):
        return "With 64 the smallest gradient still becomes 0: it stays at or below 2⁻²⁵."
    return "The smallest scale times 3·10⁻¹⁰ must exceed 2⁻²⁵."


Exercise(
    "fast-4",
    _scales,
    accepted=((128, 65536), [2**7, 2**16], np.array([128.0, 65536.0])),
    rejected=(
        ((128, 131072), "65536: more"), ((128, 131008), "power of two"), ((128, 32768), "itself be larger"),
        ((7, 16), "exponents"), ((128, 1024), "must not exceed"), (65536, "Two powers"), ((65536, 128), "first"),
        ((256, 65536), "rounded up"), ((64, 65536), "becomes 0"), ((2, 65536), "must exceed"),
        ((128,), "Two powers"),
    ),
)

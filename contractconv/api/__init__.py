"""What a user holds: contractions, derivations, and what is derived from them.

These objects are thin. A :class:`~contractconv.notation.spec.Spec` says what is contracted; the
rooms for calculus, planning, execution, verification and display do the work, and are entered
only when they are needed, so that importing the library costs next to nothing.
"""

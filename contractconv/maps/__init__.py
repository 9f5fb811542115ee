"""Maps: functions of numbers, one record each, from whose formulas derivatives are derived."""

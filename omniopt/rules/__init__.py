"""What may be done: the policy and its translation into rows over candidates."""

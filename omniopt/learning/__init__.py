"""What happened: who is held out, what contacts changed, and how sure a plan can be."""

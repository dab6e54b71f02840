"""The decomposed solver: millions of customers, priced together and solved one by one."""

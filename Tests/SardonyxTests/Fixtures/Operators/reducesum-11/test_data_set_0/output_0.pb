By0Jp=2A43AHá
A
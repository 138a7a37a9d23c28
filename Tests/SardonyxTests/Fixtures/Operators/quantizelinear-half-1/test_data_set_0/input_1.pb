
Bx1JP(
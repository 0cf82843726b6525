// Checks of the kernels for flows; they take AVX-512 VNNI.
#pragma once

void check_flow();

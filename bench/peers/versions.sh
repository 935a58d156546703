# The versions that the build scripts use. A report shows the versions that ran.
KONNECTIVITY_VERSION=v0.36.0
CHISEL_VERSION=v1.10.1
FRP_VERSION=v0.65.0
RATHOLE_VERSION=0.5.0

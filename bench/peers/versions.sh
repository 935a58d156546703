# The peers' versions, read by the build scripts. A report names what was really run.
KONNECTIVITY_VERSION=v0.36.0
CHISEL_VERSION=v1.10.1
FRP_VERSION=v0.65.0
RATHOLE_VERSION=0.5.0

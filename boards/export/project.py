"""Constraints and scripts of each maker's tool, as text by file name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from pulsefold.boards.export.verilog import MODULE

__all__ = ["EXPORTS", "project_files"]

_SOURCE = f"rtl/{MODULE}.v"
_HERE = "set here [file dirname [file normalize [info script]]]\n"


def _clock(period_ns: float) -> str:
    return f"create_clock -name aclk -period {period_ns:.3f} [get_ports aclk]\n"


def _vivado(period_ns: float, buses: Sequence[str]) -> dict[str, str]:
    return {
        f"{MODULE}.xdc": f"""\
# The clock that the design was planned for; the block design's own clock takes its place there.
{_clock(period_ns)}\
# Pins, for a top level of your own:
# set_property -dict {{PACKAGE_PIN E3 IOSTANDARD LVCMOS33}} [get_ports aclk]
""",
        "build.tcl": f"""\
# Timing and utilisation of the peripheral alone: vivado -mode batch -source build.tcl -tclargs PART
{_HERE}\
set part [expr {{$argc > 0 ? [lindex $argv 0] : "xc7a35ticsg324-1L"}}]
set out [file join $here build]
file mkdir $out
read_verilog [file join $here {_SOURCE}]
read_xdc [file join $here {MODULE}.xdc]
synth_design -top {MODULE} -part $part -mode out_of_context
opt_design
place_design
route_design
report_utilization -file [file join $out utilization.rpt]
report_timing_summary -file [file join $out timing.rpt]
write_checkpoint -force [file join $out {MODULE}.dcp]
""",
        "package_ip.tcl": f"""\
# A block for the IP catalogue: vivado -mode batch -source package_ip.tcl -tclargs PART
{_HERE}\
set part [expr {{$argc > 0 ? [lindex $argv 0] : "xc7a35ticsg324-1L"}}]
create_project -force {MODULE} [file join $here ip_project] -part $part
add_files [file join $here {_SOURCE}]
set_property top {MODULE} [current_fileset]
ipx::package_project -root_dir [file join $here ip] -vendor pulsefold -library user \\
    -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name {MODULE} $core
set_property display_name "pulsefold network" $core
foreach bus {{{" ".join(buses)}}} {{
    ipx::associate_bus_interfaces -busif $bus -clock aclk $core
}}
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::save_core $core
close_project
""",
    }


def _quartus(period_ns: float, buses: Sequence[str]) -> dict[str, str]:
    return {
        f"{MODULE}.sdc": f"{_clock(period_ns)}derive_clock_uncertainty\n",
        "build.tcl": f"""\
# Timing and utilisation of the peripheral alone: quartus_sh -t build.tcl FAMILY DEVICE
package require ::quartus::project
package require ::quartus::flow
{_HERE}\
set family [expr {{$argc > 0 ? [lindex $argv 0] : "Cyclone V"}}]
set device [expr {{$argc > 1 ? [lindex $argv 1] : "5CSEBA6U23I7"}}]
file mkdir [file join $here build]
cd [file join $here build]
project_new -overwrite {MODULE}
set_global_assignment -name FAMILY $family
set_global_assignment -name DEVICE $device
set_global_assignment -name TOP_LEVEL_ENTITY {MODULE}
set_global_assignment -name VERILOG_FILE [file join $here {_SOURCE}]
set_global_assignment -name SDC_FILE [file join $here {MODULE}.sdc]
# More ports than pins: only the clock gets one. Take these lines out for a top level of your own.
foreach port {{aresetn {" ".join(f"{bus}_*" for bus in buses)}}} {{
    set_instance_assignment -name VIRTUAL_PIN ON -to $port
}}
execute_flow -compile
project_close
""",
    }


def _radiant(period_ns: float, _: Sequence[str]) -> dict[str, str]:
    return {
        f"{MODULE}.sdc": _clock(period_ns),
        f"{MODULE}.pdc": """\
# Pins, for a top level of your own:
# ldc_set_location -site {L13} [get_ports aclk]
# ldc_set_port -iobuf {IO_TYPE=LVCMOS33} [get_ports aclk]
""",
        "build.tcl": f"""\
# Timing and utilisation of the peripheral: radiantc build.tcl DEVICE PERFORMANCE
{_HERE}\
set device [expr {{$argc > 0 ? [lindex $argv 0] : "LIFCL-40-9BG400C"}}]
set performance [expr {{$argc > 1 ? [lindex $argv 1] : "9_High-Performance_1.0V"}}]
file mkdir [file join $here build]
cd [file join $here build]
prj_create -name {MODULE} -impl impl_1 -dev $device -performance $performance -synthesis lse
prj_add_source [file join $here {_SOURCE}]
prj_add_source [file join $here {MODULE}.sdc]
prj_add_source [file join $here {MODULE}.pdc]
prj_set_impl_opt -impl impl_1 top {MODULE}
foreach step {{Synthesis Map PAR}} {{
    prj_run $step -impl impl_1
}}
prj_save
prj_close
""",
    }


#: The tools by name, each a function of the clock's period in ns and the prefixes of the buses.
EXPORTS: Mapping[str, Callable[[float, Sequence[str]], dict[str, str]]] = MappingProxyType(
    {"vivado": _vivado, "quartus": _quartus, "radiant": _radiant}
)


def project_files(tool: str, clock_mhz: float, buses: Sequence[str]) -> dict[str, str]:
    """Files beside the Verilog for one of :data:`EXPORTS`."""
    return EXPORTS[tool](1000 / clock_mhz, buses)

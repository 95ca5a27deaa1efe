// Block RAM of ECP5, as far as designs of this kit use it: both ports clocked by rising edges, always selected,
// output registers always enabled and never reset. Source: Lattice FPGA-TN-02204, memory usage guide.
module DP16KD #(
    parameter DATA_WIDTH_A = 18,
    parameter DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG",
    parameter REGMODE_B = "NOREG",
    parameter RESETMODE = "SYNC",
    parameter ASYNC_RESET_RELEASE = "SYNC",
    parameter CSDECODE_A = "0b000",
    parameter CSDECODE_B = "0b000",
    parameter CLKAMUX = "CLKA",
    parameter CLKBMUX = "CLKB",
    parameter WRITEMODE_A = "NORMAL",
    parameter WRITEMODE_B = "NORMAL",
    parameter GSR = "ENABLED",
    parameter [319:0] INITVAL_00 = 0, parameter [319:0] INITVAL_01 = 0,
    parameter [319:0] INITVAL_02 = 0, parameter [319:0] INITVAL_03 = 0,
    parameter [319:0] INITVAL_04 = 0, parameter [319:0] INITVAL_05 = 0,
    parameter [319:0] INITVAL_06 = 0, parameter [319:0] INITVAL_07 = 0,
    parameter [319:0] INITVAL_08 = 0, parameter [319:0] INITVAL_09 = 0,
    parameter [319:0] INITVAL_0A = 0, parameter [319:0] INITVAL_0B = 0,
    parameter [319:0] INITVAL_0C = 0, parameter [319:0] INITVAL_0D = 0,
    parameter [319:0] INITVAL_0E = 0, parameter [319:0] INITVAL_0F = 0,
    parameter [319:0] INITVAL_10 = 0, parameter [319:0] INITVAL_11 = 0,
    parameter [319:0] INITVAL_12 = 0, parameter [319:0] INITVAL_13 = 0,
    parameter [319:0] INITVAL_14 = 0, parameter [319:0] INITVAL_15 = 0,
    parameter [319:0] INITVAL_16 = 0, parameter [319:0] INITVAL_17 = 0,
    parameter [319:0] INITVAL_18 = 0, parameter [319:0] INITVAL_19 = 0,
    parameter [319:0] INITVAL_1A = 0, parameter [319:0] INITVAL_1B = 0,
    parameter [319:0] INITVAL_1C = 0, parameter [319:0] INITVAL_1D = 0,
    parameter [319:0] INITVAL_1E = 0, parameter [319:0] INITVAL_1F = 0,
    parameter [319:0] INITVAL_20 = 0, parameter [319:0] INITVAL_21 = 0,
    parameter [319:0] INITVAL_22 = 0, parameter [319:0] INITVAL_23 = 0,
    parameter [319:0] INITVAL_24 = 0, parameter [319:0] INITVAL_25 = 0,
    parameter [319:0] INITVAL_26 = 0, parameter [319:0] INITVAL_27 = 0,
    parameter [319:0] INITVAL_28 = 0, parameter [319:0] INITVAL_29 = 0,
    parameter [319:0] INITVAL_2A = 0, parameter [319:0] INITVAL_2B = 0,
    parameter [319:0] INITVAL_2C = 0, parameter [319:0] INITVAL_2D = 0,
    parameter [319:0] INITVAL_2E = 0, parameter [319:0] INITVAL_2F = 0,
    parameter [319:0] INITVAL_30 = 0, parameter [319:0] INITVAL_31 = 0,
    parameter [319:0] INITVAL_32 = 0, parameter [319:0] INITVAL_33 = 0,
    parameter [319:0] INITVAL_34 = 0, parameter [319:0] INITVAL_35 = 0,
    parameter [319:0] INITVAL_36 = 0, parameter [319:0] INITVAL_37 = 0,
    parameter [319:0] INITVAL_38 = 0, parameter [319:0] INITVAL_39 = 0,
    parameter [319:0] INITVAL_3A = 0, parameter [319:0] INITVAL_3B = 0,
    parameter [319:0] INITVAL_3C = 0, parameter [319:0] INITVAL_3D = 0,
    parameter [319:0] INITVAL_3E = 0, parameter [319:0] INITVAL_3F = 0
) (
    input CLKA, CLKB, WEA, WEB, CEA, CEB, OCEA, OCEB, RSTA, RSTB,
    input CSA0, CSA1, CSA2, CSB0, CSB1, CSB2,
    input ADA0, input ADA1, input ADA2, input ADA3, input ADA4, input ADA5, input ADA6, input ADA7,
    input ADA8, input ADA9, input ADA10, input ADA11, input ADA12, input ADA13, input ADB0, input ADB1,
    input ADB2, input ADB3, input ADB4, input ADB5, input ADB6, input ADB7, input ADB8, input ADB9,
    input ADB10, input ADB11, input ADB12, input ADB13, input DIA0, input DIA1, input DIA2, input DIA3,
    input DIA4, input DIA5, input DIA6, input DIA7, input DIA8, input DIA9, input DIA10, input DIA11,
    input DIA12, input DIA13, input DIA14, input DIA15, input DIA16, input DIA17, input DIB0,
    input DIB1, input DIB2, input DIB3, input DIB4, input DIB5, input DIB6, input DIB7, input DIB8,
    input DIB9, input DIB10, input DIB11, input DIB12, input DIB13, input DIB14, input DIB15,
    input DIB16, input DIB17, output DOA0, output DOA1, output DOA2, output DOA3, output DOA4,
    output DOA5, output DOA6, output DOA7, output DOA8, output DOA9, output DOA10, output DOA11,
    output DOA12, output DOA13, output DOA14, output DOA15, output DOA16, output DOA17, output DOB0,
    output DOB1, output DOB2, output DOB3, output DOB4, output DOB5, output DOB6, output DOB7,
    output DOB8, output DOB9, output DOB10, output DOB11, output DOB12, output DOB13, output DOB14,
    output DOB15, output DOB16, output DOB17
);
    // 2048 bytes of nine bits; narrower words share eight of a byte's.
    reg [8:0] bytes [0:2047];
    wire [20479:0] contents = {INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
        INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
        INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
        INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
        INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
        INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
        INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
        INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00};
    integer n;
    initial
        for (n = 0; n < 2048; n = n + 1)
            bytes[n] = contents[(n >> 1) * 20 + (n & 1) * 9 +: 9];

    wire [13:0] ada = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0}, adb = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [35:0] written = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3,
        DIB2, DIB1, DIB0, DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3,
        DIA2, DIA1, DIA0};
    reg [35:0] read_a, read_b, late_a, late_b;

    function [35:0] fetch(input [13:0] address, input integer width);
        case (width)
            36: fetch = {bytes[{address[13:5], 2'd3}], bytes[{address[13:5], 2'd2}],
                         bytes[{address[13:5], 2'd1}], bytes[{address[13:5], 2'd0}]};
            18: fetch = {bytes[{address[13:4], 1'd1}], bytes[{address[13:4], 1'd0}]};
            9: fetch = bytes[address[13:3]];
            4: fetch = bytes[address[13:3]][{address[2], 2'd0} +: 4];
            2: fetch = bytes[address[13:3]][{address[2:1], 1'd0} +: 2];
            default: fetch = bytes[address[13:3]][address[2:0]];
        endcase
    endfunction

    always @(posedge CLKA) begin
        if (CEA && WEA)
            case (DATA_WIDTH_A)
                36: for (n = 0; n < 4; n = n + 1)
                    if (ada[n]) bytes[{ada[13:5], n[1:0]}] <= written[n * 9 +: 9];
                18: for (n = 0; n < 2; n = n + 1)
                    if (ada[n]) bytes[{ada[13:4], n[0]}] <= written[n * 9 +: 9];
                9: bytes[ada[13:3]] <= written[8:0];
                4: bytes[ada[13:3]][{ada[2], 2'd0} +: 4] <= written[3:0];
                2: bytes[ada[13:3]][{ada[2:1], 1'd0} +: 2] <= written[1:0];
                default: bytes[ada[13:3]][ada[2:0]] <= written[0];
            endcase
        if (CEA && !WEA) read_a <= fetch(ada, DATA_WIDTH_A);
        if (OCEA) late_a <= read_a;
    end

    always @(posedge CLKB) begin
        if (CEB && !WEB) read_b <= fetch(adb, DATA_WIDTH_B);
        if (OCEB) late_b <= read_b;
    end

    wire [35:0] a = REGMODE_A == "OUTREG" ? late_a : read_a;
    wire [35:0] b = REGMODE_B == "OUTREG" ? late_b : read_b;
    // A word of 36 bits leaves port B over both outputs.
    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3,
        DOA2, DOA1, DOA0} = DATA_WIDTH_B == 36 ? b[17:0] : a[17:0];
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3,
        DOB2, DOB1, DOB0} = DATA_WIDTH_B == 36 ? b[35:18] : b[17:0];
endmodule
